# Vector and scalar extensions of v8.1 to v8.6: RDM, DotProd, I8MM, BF16, FCMA, FRINTTS, JSCVT, LRCPC2, LOR, SB, DPB.
{sqrdmlah|sqrdmlsh} v0.$T, v1.$T, v2.$T @ T=4h,8h,2s,4s n=5
{sqrdmlah|sqrdmlsh} {h0, h1, h2|s0, s1, s2} @ n=4
{sqrdmlah|sqrdmlsh} v0.$T, v1.$T, v2.h[{0|7}] @ T=4h,8h n=2
{sqrdmlah|sqrdmlsh} v0.$T, v1.$T, v2.s[{1|3}] @ T=2s,4s n=2
{sqrdmlah|sqrdmlsh} {h0, h1, v2.h[5]|s0, s1, v2.s[2]} @ n=3
{sdot|udot|usdot} v0.$T, v1.$U, v2.$U @ T/U=2s/8b,4s/16b n=4
{sdot|udot|usdot|sudot} v0.$T, v1.$U, v2.4b[{0|3}] @ T/U=2s/8b,4s/16b n=3
{smmla|ummla|usmmla} v0.4s, v1.16b, v2.16b @ n=5
bfcvt h0, s1 @ f32 n=16
{bfcvtn v0.4h, v1.4s|bfcvtn2 v0.8h, v1.4s} @ f32 n=6
bfdot v0.$T, v1.$U, v2.$U @ T/U=2s/4h,4s/8h f32 n=12
bfdot v0.$T, v1.$U, v2.2h[{0|3}] @ T/U=2s/4h,4s/8h f32 n=8
bfdot v0.4s, v1.8h, v2.8h @ n=12
bfmmla v0.4s, v1.8h, v2.8h @ f32 n=12
{bfmlalb|bfmlalt} v0.4s, v1.8h, v2.8h @ f32 n=8
{bfmlalb|bfmlalt} v0.4s, v1.8h, v2.h[{0|7}] @ f32 n=4
fcadd v0.$T, v1.$T, v2.$T, #{90|270} @ T=4h,8h f16 n=4
fcadd v0.$T, v1.$T, v2.$T, #{90|270} @ T=2s,4s f32 n=3
fcadd v0.2d, v1.2d, v2.2d, #{90|270} @ f64 n=3
fcmla v0.$T, v1.$T, v2.$T, #{0|90|180|270} @ T=4h,8h f16 n=4
fcmla v0.$T, v1.$T, v2.$T, #{0|90|180|270} @ T=2s,4s f32 n=3
fcmla v0.2d, v1.2d, v2.2d, #{0|90|180|270} @ f64 n=3
fcmla v0.8h, v1.8h, v2.h[{0|3}], #{0|90|180|270} @ f16 n=2
fcmla v0.4h, v1.4h, v2.h[{0|1}], #{0|90|180|270} @ f16 n=2
fcmla v0.4s, v1.4s, v2.s[{0|1}], #{0|90|180|270} @ f32 n=2
{frint32z|frint32x|frint64z|frint64x} s0, s1 @ f32 n=12
{frint32z|frint32x|frint64z|frint64x} d0, d1 @ f64 n=12
{frint32z|frint32x|frint64z|frint64x} v0.$T, v1.$T @ T=2s,4s f32 n=4
{frint32z|frint32x|frint64z|frint64x} v0.2d, v1.2d @ f64 n=4
{frint32z|frint32x} d0, d1 @ n=6 set:v1=41dfffffffe00000/41dfffffffdfffff/c1e0000000000000/c1e0000000100000/c1e00000001fffff/41dfffffffc00000
{frint64z|frint64x} d0, d1 @ n=4 set:v1=43dfffffffffffff/43e0000000000000/c3e0000000000000/c3e0000000000001
{frint32z|frint64x} s0, s1 @ n=5 set:v1=4effffff/4f000000/cf000000/cf000001/5f000000/5effffff/df000000
fjcvtzs w0, d1 @ f64 n=24
fjcvtzs w0, d1 @ n=8 set:v1=41dfffffffc00000/41e0000000000000/c1e0000000000000/41efffffffe00000/43e0000000000001/4340000000000001/8000000000000000/3fe0000000000000/bff8000000000000/42f0000000012345
{ldapur|stlur} $r0, [x1, #{-8|248}] @ n=2
{ldapurb|ldapurh|stlurb|stlurh} w0, [x1, #{-256|6}] @ n=2
{ldapursb|ldapursh} $r0, [x1, #{-2|128}] @ n=2
ldapursw x0, [x1, #{-4|252}] @ n=2
{ldapur|stlur} x0, [x1] @ set:x1=30000000 n=1
{ldlar|stllr} $r0, [x1] @ n=2
{ldlarb|ldlarh|stllrb|stllrh} w0, [x1] @ n=2
sb @ n=1
dc {cvap|cvadp|cvac|cvau|civac}, x1 @ n=1 set:x1=10001000
dc {cvap|cvadp} , x1 @ n=1 set:x1=30000000
{bfdot|bfmmla} v0.4s, v1.8h, v2.8h @ f32 n=8 set:fpcr=400000/800000/c00000
bfmlalt v0.4s, v1.8h, v2.8h @ f32 n=6 set:fpcr=400000/800000/c00000
bfcvt h0, s1 @ f32 n=12 set:fpcr=400000/800000/c00000
bfcvtn v0.4h, v1.4s @ f32 n=6 set:fpcr=400000/800000/c00000
{frint32x|frint64x|frint32z} s0, s1 @ f32 n=4 set:fpcr=400000/800000/c00000
{frint32x|frint64x} v0.2d, v1.2d @ f64 n=4 set:fpcr=400000/800000/c00000
fcmla v0.8h, v1.8h, v2.8h, #90 @ f16 n=4 set:fpcr=400000/800000/c00000
{frecpe|frsqrte} v0.4s, v1.4s @ f32 n=6 set:fpcr=400000/800000/c00000
fcvtxn v0.2s, v1.2d @ f64 n=6 set:fpcr=400000/800000/c00000
# Products of ordinary size, whose sums cancel and are inexact.
{bfdot|bfmmla} v0.4s, v1.8h, v2.8h @ n=10 set:v0=3fd351d2000000003f84cca83f9ece0b/3de9d64abf50b859bdc9de823f05f66b/3e35a65942a77c55bc0d30edbcafaab9/b3c83d3841571758bbbb98d73d265ec3/4e63d175b4c339a350397366a60f1cc7 set:v1=3f933ffbbfabbfca3ff8bf873fa4bf82/3f4e3f62bf32c00a40a3c06ec07ec07a/3d933cbe3ea48000c128c0f9c206c2f9/c1323a3d3b883b0e3a00ba7939ef3ad1/43ae4bbe3fbd33df3feab11abc12b161 set:v2=bfd9bff4bfc4bfd1bfe73f993ffe8000/40fabffa3f0d3f9ac0eb80003ef4bf3d/42d1c232bd5cbd83c067c17dbf133c81/c28dbab745ef3ba5c1a94590be72c5f3/cdf0b543bee349663fcfb229c23d4cc7
bfdot v0.2s, v1.4h, v2.2h[{0|3}] @ n=5 set:v0=3fd351d2000000003f84cca83f9ece0b/3de9d64abf50b859bdc9de823f05f66b/3e35a65942a77c55bc0d30edbcafaab9/b3c83d3841571758bbbb98d73d265ec3/4e63d175b4c339a350397366a60f1cc7 set:v1=3f933ffbbfabbfca3ff8bf873fa4bf82/3f4e3f62bf32c00a40a3c06ec07ec07a/3d933cbe3ea48000c128c0f9c206c2f9/c1323a3d3b883b0e3a00ba7939ef3ad1/43ae4bbe3fbd33df3feab11abc12b161 set:v2=bfd9bff4bfc4bfd1bfe73f993ffe8000/40fabffa3f0d3f9ac0eb80003ef4bf3d/42d1c232bd5cbd83c067c17dbf133c81/c28dbab745ef3ba5c1a94590be72c5f3/cdf0b543bee349663fcfb229c23d4cc7
{frecpe|frsqrte} v0.$T, v1.$T @ T=2s,4s n=4 set:v1=3f8000013fc000003e7fffff41234567/0080000000ffffff7e7fffff7f7fffff/3f8000003f8000003f80000040490fdb
