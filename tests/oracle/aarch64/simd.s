# Vectors: integer.
{add|sub} v0.$T, v1.$T, v2.$T @ T=8b,16b,4h,8h,2s,4s,2d n=1
{mul|mla|mls} v0.$T, v1.$T, v2.$T @ T=8b,16b,4h,8h,2s,4s n=1
{and|orr|eor|bic|orn|bsl|bit|bif} v0.$T, v1.$T, v2.$T @ T=8b,16b n=2
{not|rbit|cnt} v0.$T, v1.$T @ T=8b,16b n=2
{cmeq|cmge|cmgt|cmhi|cmhs|cmtst} v0.$T, v1.$T, v2.$T @ T=8b,16b,4h,8h,2s,4s,2d n=1
{cmeq|cmge|cmgt|cmle|cmlt} v0.$T, v1.$T, #0 @ T=16b,8h,2s,4s,2d n=1
{cmeq|cmge|cmgt|cmhi|cmhs|cmtst|add|sub} d0, d1, d2 @ n=1
{cmeq|cmlt} d0, d1, #0 @ n=1
{smax|smin|umax|umin|shadd|uhadd|srhadd|urhadd|shsub|uhsub|sabd|uabd|saba|uaba} v0.$T, v1.$T, v2.$T @ T=8b,16b,8h,4s n=1
{smaxp|sminp|umaxp|uminp} v0.$T, v1.$T, v2.$T @ T=8b,16b,8h,4s n=1
addp v0.$T, v1.$T, v2.$T @ T=8b,16b,4h,8h,2s,4s,2d n=1
addp d0, v1.2d @ n=2
{addv|smaxv|sminv|umaxv|uminv} $R0, v1.$T @ R/T=b/8b,b/16b,h/4h,h/8h,s/4s n=2
{saddlv|uaddlv} $R0, v1.$T @ R/T=h/8b,h/16b,s/4h,s/8h,d/4s n=1
{sqadd|uqadd|sqsub|uqsub} v0.$T, v1.$T, v2.$T @ T=8b,16b,8h,4s,2d n=2
{sqadd|uqadd|sqsub|uqsub} {b0, b1, b2|h0, h1, h2|s0, s1, s2|d0, d1, d2} @ n=1
{suqadd|usqadd} v0.$T, v1.$T @ T=16b,4s,2d n=1
{sshl|ushl|srshl|urshl|sqshl|uqshl|sqrshl|uqrshl} v0.$T, v1.$T, v2.$T @ T=8b,16b,8h,4s,2d n=1
{sshl|ushl|sqshl|uqrshl} d0, d1, d2 @ n=1
shl v0.$T, v1.$T, #$N @ T/N=8b/0,16b/7,4h/3,8h/15,2s/1,4s/31,2d/63 n=1
{sli|sqshlu|sqshl|uqshl} v0.$T, v1.$T, #$N @ T/N=16b/3,8h/0,4s/31,2d/40 n=1
{sshr|ushr|srshr|urshr|ssra|usra|srsra|ursra|sri} v0.$T, v1.$T, #$N @ T/N=8b/8,16b/1,4h/3,8h/16,2s/5,4s/32,2d/64,2d/33 n=1
{sshr|ushr|shl|ssra|usra|sri|sli} d0, d1, #{1|63} @ n=1
{shrn|rshrn|sqshrn|uqshrn|sqshrun|sqrshrn|uqrshrn|sqrshrun} v0.$T, v1.$U, #$N @ T/U/N=8b/8h/1,4h/4s/9,2s/2d/32 n=1
{shrn2|rshrn2|sqshrn2|uqshrn2|sqrshrun2} v0.$T, v1.$U, #$N @ T/U/N=16b/8h/8,8h/4s/3,4s/2d/17 n=1
{sshll|ushll} v0.$U, v1.$T, #$N @ T/U/N=8b/8h/0,4h/4s/9,2s/2d/31 n=1
{sshll2|ushll2} v0.$U, v1.$T, #$N @ T/U/N=16b/8h/7,8h/4s/0,4s/2d/3 n=1
shll v0.8h, v1.8b, #8 @ n=1
{xtn|sqxtn|uqxtn|sqxtun} v0.$T, v1.$U @ T/U=8b/8h,4h/4s,2s/2d n=2
{xtn2|sqxtn2|uqxtn2|sqxtun2} v0.$T, v1.$U @ T/U=16b/8h,8h/4s,4s/2d n=1
{saddl|uaddl|ssubl|usubl|smull|umull|smlal|umlal|smlsl|umlsl|sabdl|uabdl|sabal|uabal} v0.$U, v1.$T, v2.$T @ T/U=8b/8h,4h/4s,2s/2d n=1
{saddl2|uaddl2|ssubl2|usubl2|smull2|umull2|smlal2|umlal2|umlsl2|uabdl2|uabal2} v0.$U, v1.$T, v2.$T @ T/U=16b/8h,8h/4s,4s/2d n=1
{saddw|uaddw|ssubw|usubw} v0.$U, v1.$U, v2.$T @ T/U=8b/8h,4h/4s,2s/2d n=1
{saddw2|uaddw2|usubw2} v0.$U, v1.$U, v2.$T @ T/U=16b/8h,8h/4s,4s/2d n=1
{addhn|raddhn|subhn|rsubhn} v0.$T, v1.$U, v2.$U @ T/U=8b/8h,4h/4s,2s/2d n=1
{addhn2|subhn2} v0.$T, v1.$U, v2.$U @ T/U=16b/8h,4s/2d n=1
{saddlp|uaddlp|sadalp|uadalp} v0.$U, v1.$T @ T/U=8b/4h,16b/8h,4h/2s,8h/4s,4s/2d n=1
{sqdmulh|sqrdmulh} v0.$T, v1.$T, v2.$T @ T=4h,8h,4s n=2
{sqdmull|sqdmlal|sqdmlsl} v0.$U, v1.$T, v2.$T @ T/U=4h/4s,2s/2d n=1
{mul|mla|mls|sqdmulh} v0.$T, v1.$T, v2.$R[1] @ T/R=4h/h,8h/h,2s/s,4s/s n=1
{smull|umull|smlal|umlsl} v0.$U, v1.$T, v2.$R[{0|1}] @ T/U/R=4h/4s/h,2s/2d/s n=1
{pmul} v0.16b, v1.16b, v2.16b @ n=1
pmull v0.8h, v1.8b, v2.8b @ n=1
pmull2 v0.8h, v1.16b, v2.16b @ n=1
{abs|neg|sqabs|sqneg} v0.$T, v1.$T @ T=8b,16b,8h,4s,2d n=1
{abs|neg} d0, d1 @ n=1
{clz|cls} v0.$T, v1.$T @ T=8b,16b,8h,4s n=1
rev64 v0.$T, v1.$T @ T=8b,16b,4h,8h,2s,4s n=1
rev32 v0.$T, v1.$T @ T=8b,16b,8h n=1
rev16 v0.16b, v1.16b @ n=1
{zip1|zip2|uzp1|uzp2|trn1|trn2} v0.$T, v1.$T, v2.$T @ T=8b,16b,4h,8h,2s,4s,2d n=1
ext v0.8b, v1.8b, v2.8b, #{1|7} @ n=1
ext v0.16b, v1.16b, v2.16b, #{0|1|8|15} @ n=1
dup v0.$T, v1.$R[{0|1}] @ T/R=8b/b,16b/b,4h/h,8h/h,2s/s,4s/s,2d/d n=1
dup v0.$T, w1 @ T=8b,16b,8h,2s,4s n=1
dup v0.2d, x1 @ n=1
{dup|mov} {b0, v1.b[15]|h0, v1.h[7]|s0, v1.s[3]|d0, v1.d[1]} @ n=1
ins v0.$R[{0|1}], v1.$R[1] @ R=b,h,s,d n=1
ins v0.{b[9]|h[3]|s[2]}, w1 @ n=1
ins v0.d[1], x1 @ n=1
umov w0, v1.{b[3]|h[7]|s[1]} @ n=1
umov x0, v1.d[{0|1}] @ n=1
smov {w0|x0}, v1.{b[3]|h[5]} @ n=1
smov x0, v1.s[3] @ n=1
{tbl|tbx} v0.$T, <<v1.16b>>, v2.$T @ T=8b,16b n=2
{tbl|tbx} v0.16b, <<v1.16b, v2.16b>>, v3.16b @ n=1
{tbl|tbx} v0.16b, <<v1.16b, v2.16b, v3.16b>>, v4.16b @ n=1
{tbl|tbx} v0.8b, <<v1.16b, v2.16b, v3.16b, v4.16b>>, v5.8b @ n=1
movi v0.{8b|16b}, #{0|0xa5} @ n=1
movi v0.{4h|8h}, #0x12, lsl #{0|8} @ n=1
movi v0.{2s|4s}, #0xab, lsl #{0|8|24} @ n=1
movi v0.4s, #0x7f, msl #{8|16} @ n=1
movi {v0.2d|d0}, #0xff00ffff00ff00ff @ n=1
mvni v0.{4s|8h}, #0x55, lsl #8 @ n=1
mvni v0.2s, #1, msl #8 @ n=1
{orr|bic} v0.{4s|8h}, #0xf0, lsl #8 @ n=1
fmov v0.{2s|4s|2d}, #-1.5 @ n=1
mov v0.16b, v1.16b @ n=1
{sdot|udot} v0.4s, v1.16b, v2.16b @ n=1
{urecpe|ursqrte} v0.4s, v1.4s @ n=1
# Rotations in two instructions.
shl v0.4s, v1.4s, #7; sri v0.4s, v1.4s, #{25|24|26} @ n=1
shl v0.4s, v1.4s, #8; sri v0.4s, v1.4s, #24 @ n=2
ushr v0.4s, v1.4s, #16; sli v0.4s, v1.4s, #16 @ n=2
ushr v0.2s, v1.2s, #20; sli v0.2s, v1.2s, #12 @ n=1
shl v0.2d, v1.2d, #{1|24|63}; sri v0.2d, v1.2d, #{63|40|1} @ n=1
shl v0.8h, v1.8h, #8; ushr v2.8h, v1.8h, #8; orr v0.16b, v2.16b, v0.16b @ n=2
shl v0.8h, v1.8h, #3; sri v0.8h, v1.8h, #13 @ n=1
shl v0.4s, v1.4s, #24; ushr v2.4s, v3.4s, #8; orr v0.16b, v2.16b, v0.16b @ n=1
ushr v2.4s, v1.4s, #32; orr v0.16b, v1.16b, v2.16b @ n=1
shl v0.4s, v1.4s, #0; ushr v2.4s, v1.4s, #32; orr v0.16b, v0.16b, v2.16b @ n=1
tbl v0.16b, <<v1.16b>>, v2.16b; tbl v3.16b, <<v0.16b>>, v2.16b; tbx v4.16b, <<v1.16b>>, v2.16b @ n=2
