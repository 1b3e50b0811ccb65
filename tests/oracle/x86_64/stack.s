# The stack.
push {rax|rsp|r12|bx|r9w} @ n=1
push {0x12|-1|0x12345678} @ n=1
push {qword ptr [rdi]|word ptr [rdi]|qword ptr [rsp+8]} @ n=1
pop {rax|rsp|r12|bx|r9w} @ n=1
pop {qword ptr [rdi]|word ptr [rdi]|qword ptr [rsp+8]} @ n=1
leave @ set:rbp=1000e000 n=1
enter 32, 0 @ uses=rbp n=1
enter 16, 2 @ set:rbp=1000e000 n=1
pushfq; pop rax; and eax, 0xcd5 @ n=4
lahf @ uses=rax n=3
sahf @ uses=rax n=4
{clc|stc|cmc} @ n=2
{cld|std} @ n=1 set:df=0/1
push rax; pop rbx @ n=1
