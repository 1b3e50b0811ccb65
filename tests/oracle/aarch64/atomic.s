# Exclusives, compare-and-swap, and the atomic read-modify-writes.
{ldxr|ldaxr} $r0, [x1] @ n=1
{ldxrb|ldxrh|ldaxrb|ldaxrh} w0, [x1] @ n=1
{ldxp|ldaxp} $r0, $r2, [x1] @ n=1
stxr w3, $r0, [x1] @ n=1
ldxr $r0, [x1]; add $r0, $r0, #1; stxr w3, $r0, [x1] @ n=2
ldaxr $r0, [x1]; stlxr w3, $r2, [x1] @ n=2
ld{a|}xr$z w0, [x1]; st{l|}xr$z w3, w2, [x1] @ z=b,h n=1
ldxp $r0, $r2, [x1]; stxp w3, $r4, $r5, [x1] @ n=2
ldaxp $r0, $r2, [x1]; stlxp w3, $r4, $r5, [x1] @ n=1
ldxr x0, [x1]; clrex; stxr w3, x2, [x1] @ n=1
cas{|a|l|al} $r0, $r2, [x1] @ n=1
cas{|a|l|al}{b|h} w0, w2, [x1] @ n=1
cas{|al} $r0, $r2, [x1] @ set:x0=5 set:[10001000]=0500000000000000 set:x1=10001000 n=1
casp{|al} $r0, $r1, $r4, $r5, [x2] @ n=1
swp{|a|l|al} $r0, $r2, [x1] @ n=1
swp{|a|l|al}{b|h} w0, w2, [x1] @ n=1
ld{add|clr|eor|set|smax|smin|umax|umin}{|a|l|al} $r0, $r2, [x1] @ n=1
ld{add|clr|eor|set|smax|smin|umax|umin}{|al}{b|h} w0, w2, [x1] @ n=1
st{add|clr|eor|set|smax|smin|umax|umin}{|l} $r0, [x1] @ n=1
st{add|clr|eor|set|smax|smin|umax|umin}b w0, [x1] @ n=1
ldadd x0, x2, [sp] @ n=1
