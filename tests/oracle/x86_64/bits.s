# Bit tests, scans, counts, BMI.
{bt|bts|btr|btc} $a, $b @ w=16,32,64 n=2
{bt|bts|btr|btc} $a, {0|15|40} @ w=16,32,64 n=1
{bt|bts|btr|btc} $m [rdi], 13 @ w=16,32,64 n=1
{bt|bts|btr|btc} $m [rdi], $b @ w=16,32,64 set:rbx=0/7/3f/1ff n=2
{bt|bts|btr|btc} dword ptr [rdi], ebx @ set:rbx=ffffffff/ffffff00 n=1
{bt|bts|btr|btc} qword ptr [rdi], rbx @ set:rbx=ffffffffffffffff/fffffffffffffc01 n=1
{bsf|bsr} $a, $b @ w=16,32,64 n=3
{tzcnt|lzcnt|popcnt} $a, $b @ w=16,32,64 n=3
{tzcnt|lzcnt|popcnt} $a, $b @ w=16,32,64 n=1 set:rbx=0
{bsf|bsr|tzcnt|popcnt} eax, dword ptr [rdi] @ n=1
andn {eax, ebx, ecx|rax, rbx, rcx} @ n=2
{bextr|bzhi} {eax, ebx, ecx|rax, rbx, rcx} @ n=2 set:rcx=0/408/1005/2010/ff
{blsi|blsr|blsmsk} {eax, ebx|rax, rbx} @ n=3
{pdep|pext} {eax, ebx, ecx|rax, rbx, rcx} @ n=2
crc32 eax, {bl|bx|ebx} @ n=2
crc32 rax, {bl|rbx} @ n=2
