# String operations, both directions.
{movsb|movsw|movsd|movsq} @ set:rsi=10000200 set:rdi=10000300 set:df=0/1 n=2
{stosb|stosw|stosd|stosq} @ uses=rax set:rdi=10000300 set:df=0/1 n=2
{lodsb|lodsw|lodsd|lodsq} @ uses=rax set:rsi=10000200 set:df=0/1 n=2
{scasb|scasw|scasd|scasq} @ uses=rax set:rdi=10000300 set:df=0/1 n=2
{cmpsb|cmpsw|cmpsd|cmpsq} @ set:rsi=10000200 set:rdi=10000300 set:df=0/1 n=2
rep {movsb|movsw|movsd|movsq} @ set:rsi=10000203 set:rdi=10000301 set:rcx=0/1/5/9 set:df=0/1 n=3
rep movsb @ set:rsi=10000200 set:rdi=10000201/10000204/100001ff set:rcx=10 set:df=0/1 n=4
rep {stosb|stosw|stosd|stosq} @ uses=rax set:rdi=10000300 set:rcx=0/1/7 set:df=0/1 n=3
rep {lodsb|lodsq} @ uses=rax set:rsi=10000200 set:rcx=3 n=1
{repe|repne} scasb @ set:rax=0/9d/3a set:rdi=10000300 set:rcx=0/20/3 set:df=0/1 n=4
repne {scasw|scasd|scasq} @ uses=rax set:rdi=10000300 set:rcx=3 n=2
{repe|repne} cmpsb @ set:rsi=10000200 set:rdi=10000200/10000300 set:rcx=0/6 n=4
repe {cmpsw|cmpsd|cmpsq} @ set:rsi=10000200 set:rdi=10000200/10000300 set:rcx=4 n=2
