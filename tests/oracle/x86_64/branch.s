# Branches, conditional sets and moves.
j{o|no|b|ae|e|ne|be|a|s|ns|p|np|l|ge|le|g} .+16 @ n=5
j{o|b|e|be|s|p|l|le} .+0x1000 @ n=1
set{o|no|b|ae|e|ne|be|a|s|ns|p|np|l|ge|le|g} {al|bh|byte ptr [rdi]} @ n=2
cmov{o|no|b|ae|e|ne|be|a|s|ns|p|np|l|ge|le|g} {ax, bx|eax, ebx|rax, rbx} @ n=2
cmov{e|b} eax, dword ptr [rdi] @ n=2
jmp .+{4|0x400} @ n=1
jmp {rax|r11} @ set:rax=20000100 set:r11=20000200 n=1
jmp qword ptr [rdi] @ set:rdi=10000100 set:[10000100]=4001002000000000 n=1
jmp rax @ set:rax=30000000 n=1
call .+0x20 @ n=1
call {rax|qword ptr [rdi]} @ set:rax=20000100 set:rdi=10000100 set:[10000100]=4001002000000000 n=1
call rsp @ n=1
ret {|16} @ set:[1000f000]=8000002000000000 n=1
{jrcxz|jecxz} .+8 @ set:rcx=0/100000000/1 n=3
{loop|loope|loopne} .+8 @ set:rcx=1/2/0 n=4
cmp eax, ebx; j{l|be|p} .+8 @ n=2
