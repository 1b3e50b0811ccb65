# Shifts and rotates with their flag rules.
{shl|shr|sar|rol|ror|rcl|rcr} $a, {1|3|7} @ n=2
{shl|shr|sar|rol|ror|rcl|rcr} $a, {8|15|31} @ n=1
{shl|shr|sar|rol|ror|rcl|rcr} rax, {32|63} @ n=1
{shl|shr|sar|rol|ror|rcl|rcr} $b, cl @ small=rcx n=5
{shl|shr|sar|rol|ror|rcl|rcr} $b, cl @ set:rcx=0/20/40 n=2
{shl|shr|sar|rol|ror|rcl|rcr} $m [rdi], {1|5} @ n=1
{shl|shr|sar|rol|ror|rcl|rcr} $m [rdi], cl @ small=rcx n=1
{shl|shr|sar|rol|ror|rcl|rcr} ah, {1|2} @ n=1
{shld|shrd} $a, $b, {1|5|13} @ w=16,32,64 n=1
{shld|shrd} $a, $b, cl @ w=16,32,64 small=rcx n=4
{shld|shrd} rax, rbx, 63 @ n=1
{shld|shrd} $m [rdi], $b, 4 @ w=16,32,64 n=1
rol $a, cl @ set:rcx=8/10/18 n=3
{sarx|shlx|shrx} {eax, ebx, ecx|rax, rbx, rcx} @ n=2
rorx {eax, ebx, 5|rax, rbx, 47} @ n=2
