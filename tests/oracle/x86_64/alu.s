# Arithmetic and logic, moves, conversions.
{add|sub|adc|sbb|and|or|xor|cmp|test} $a, $b
{add|sub|adc|sbb|and|or|xor|cmp} $m [rdi], $b @ n=1 odd
{add|sub|adc|sbb|and|or|xor|cmp} $b, $m [rdi+8] @ n=1 odd
{add|sub|adc|sbb|and|or|xor|cmp|test} $c, {1|0x7f} @ n=1
{add|sub|adc|sbb|and|or|xor|cmp|test} $m [rsi], 5 @ n=1 odd
{add|sub|and|or|xor|cmp|test} eax, 0x12345678 @ n=1
{add|sub|and|cmp|test} rdx, -0x12345678 @ n=1
{add|sbb|cmp} ax, 0x8000 @ n=1
{add|sub|adc|sbb|and|or|xor|cmp|test} {ah, bl|ch, dh|al, ah|bh, bh} @ n=1
{inc|dec|neg|not} $a
{inc|dec|neg|not} {ah|r9b|sil} @ n=1
{inc|dec|neg|not} $m [rbx+rcx*4+16] @ n=1
mov $a, $b @ n=1
mov $e, $a @ n=1
mov {ah, bl|bh, ch|r8b, dil} @ n=1
mov $m [rdi+rcx*8-8], $a @ n=1 odd
mov $a, $m [r13+r14*2] @ n=1 odd
mov {al, 0x85|ax, 0x1234|eax, 0x80000000|rax, -1|r15, 0x7fffffff} @ n=1
movabs rax, 0x123456789abcdef0 @ n=1
mov {byte ptr [rdi], 3|word ptr [rdi], 0x1234|dword ptr [rdi], 0x12345678|qword ptr [rdi], -2} @ n=1
movabs {al|ax|eax|rax}, [0x10000123] @ n=1
movabs [0x10000123], {al|ax|eax|rax} @ n=1
movzx {ax|eax|rax}, {bl|byte ptr [rdi]} @ n=1
movsx {ax|eax|rax}, {bl|byte ptr [rdi]} @ n=2
movzx {eax|rax}, {bx|word ptr [rdi]} @ n=1
movsx {eax|rax}, {bx|word ptr [rdi]} @ n=2
movzx {eax|ecx}, {ah|bh} @ n=1
movsxd rax, {ecx|dword ptr [rdi]} @ n=2
lea {ax|eax|rax}, {[rbx+rcx*8+5]|[rdi]|[rsi*2+0x100]|[r13+r12-128]} @ n=1
lea rax, [ebx+ecx*4] @ n=1
lea r9, [rip+0x40] @ n=1
xchg $a, $b @ n=1
xchg {ah, al|ah, bh} @ n=1
xchg $m [rdi], $b @ n=1
xadd $a, $b @ n=2
xadd $m [rdi], $a @ n=1
{cbw|cwde|cdqe|cwd|cdq|cqo} @ n=2 uses=rax,rdx
bswap {eax|rax|r9|r10d} @ n=1
mov rax, [rdi] @ set:rdi=30000000 n=1
mov [rdi], rax @ set:rdi=8000000000000000 n=1
add qword ptr [rdi], 1 @ set:rdi=10010000 n=1
add al, al @ n=1
sub eax, eax @ n=1
xor r8d, r8d @ n=1
sbb eax, eax @ n=3
adc rax, rax @ n=2
{nop|nop dword ptr [rax+rax]|endbr64|pause} @ n=1
movbe {eax|ax|rax}, [rdi] @ n=1
movbe [rdi], {eax|ax|rax} @ n=1
movnti [rdi], {eax|rax} @ n=1
xlatb @ n=1 set:rbx=10000200 uses=rax
{adcx|adox} {eax, ebx|rax, rbx} @ n=3
