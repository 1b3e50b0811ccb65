# Multiplication and division.
{mul|imul} {bl|bh} @ n=3 uses=rax
{mul|imul} $c @ n=4 uses=rax,rdx
{mul|imul} $m [rdi] @ n=1 uses=rax,rdx
imul $a, $b @ w=16,32,64 n=4
imul $a, $m [rdi] @ w=16,32,64 n=1
imul $a, $b, {3|-7|100} @ w=16,32,64 n=1
imul {ax, bx, 0x1234|eax, ebx, 0x12345678|rax, rbx, -0x12345678} @ n=2
div $c @ w=16,32,64 uses=rax,rdx n=4 set:rdx=0/1/5
div {cl|ch} @ uses=rax n=3 set:rax=0/57/1ff/fff
idiv {cl|bh} @ uses=rax n=3 set:rax=0/57/ff80/ff
idiv cx @ uses=rax n=4 set:rdx=0/ffff
idiv ecx @ uses=rax n=4 set:rdx=0 set:rax=7fffffff/12345/1
idiv ecx @ uses=rax n=4 set:rdx=ffffffff set:rax=80000000/ffff0000/fffffff0
idiv rcx @ uses=rax n=4 set:rdx=0 set:rax=7fffffffffffffff/12345/1
idiv rcx @ uses=rax n=4 set:rdx=ffffffffffffffff set:rax=8000000000000000/fffffffffffffff9
{div|idiv} $c @ set:rcx=0 uses=rax,rdx n=1
idiv {ecx|rcx} @ set:rcx=ffffffffffffffff set:rdx=ffffffffffffffff set:rax=8000000000000000/ffffffff80000000 n=2
{div|idiv} $m [rdi] @ set:rdx=0 set:rax=64 n=1
div rcx @ set:rcx=1000000000000001 set:rdx=fffffffffff uses=rax n=2
idiv rcx @ set:rcx=7000000000000001/9000000000000000 set:rdx=fffffff/ffffffffffff0000 uses=rax n=4
mulx {eax, ebx, ecx|rax, rbx, rcx} @ uses=rdx n=3
