# Locked operations, compare and exchange.
lock {add|sub|adc|sbb|and|or|xor} $m [rdi], $b @ n=1
lock {add|sub|and|or|xor} $m [rdi], 7 @ n=1
lock {inc|dec|neg|not} $m [rdi] @ n=1
lock {bts|btr|btc} $m [rdi], {5|$b} @ w=16,32,64 set:rbx=3/21 n=1
lock xadd $m [rdi], $b @ n=2
cmpxchg $b, $c @ uses=rax n=2
cmpxchg $b, $c @ set:rax=77 set:rbx=77 n=1
lock cmpxchg $m [rdi], $c @ uses=rax n=1
lock cmpxchg $m [rdi], $c @ set:rdi=10000800 set:[10000800]=0102030405060708 set:rax=807060504030201 n=1
lock cmpxchg8b [rdi] @ uses=rax,rdx,rbx,rcx n=1
lock cmpxchg8b [rdi] @ set:rdi=10000800 set:[10000800]=0102030405060708 set:rax=4030201 set:rdx=8070605 uses=rbx,rcx n=1
lock cmpxchg16b [rdi] @ uses=rax,rdx,rbx,rcx n=1
lock cmpxchg16b [rdi] @ set:rdi=10000800 set:[10000800]=01020304050607081112131415161718 set:rax=807060504030201 set:rdx=1817161514131211 uses=rbx,rcx n=1
cmpxchg16b [rdi] @ set:rdi=10000808 n=1
{mfence|lfence|sfence} @ n=1
