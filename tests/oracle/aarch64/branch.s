# Branches, conditional selects and comparisons.
b .+{4|8|64} @ n=1
bl .+{4|32} @ n=1
b.{eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al} .+16 @ n=6
{cbz|cbnz} $r0, .+32 @ n=2
{cbz|cbnz} $r0, .+32 @ set:x0=0/100000000 n=2
{tbz|tbnz} x0, #{0|5|31|32|63}, .+12 @ n=2
br x1 @ set:x1=20000100 n=1
blr x{1|30} @ set:x1=20000200 set:x30=20000300 n=1
ret @ set:x30=20000080 n=1
ret x3 @ set:x3=20000040 n=1
br x1 @ set:x1=30000000 n=1
csel $r0, $r1, $r2, {eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al|nv} @ n=2
{csinc|csinv|csneg} $r0, $r1, $r2, {eq|hi|lt|vs} @ n=3
{cset|csetm} $r0, {eq|ne|cc|ls|ge|gt} @ n=2
{cinc|cinv|cneg} $r0, $r1, {mi|le} @ n=2
{ccmp|ccmn} $r0, $r1, #{0|5|15}, {eq|ne|hi|ge|vc} @ n=2
{ccmp|ccmn} $r0, #{0|31}, #{2|12}, {cs|lt|al} @ n=2
cmp w0, w1; b.{hi|lt} .+8 @ n=2
