# SSE2 and later, integer.
{paddb|paddw|paddd|paddq|psubb|psubw|psubd|psubq|paddsb|paddsw|paddusb|paddusw|psubsb|psubsw|psubusb|psubusw} xmm0, xmm1 @ n=2
{pmullw|pmulhw|pmulhuw|pmuludq|pmaddwd|pavgb|pavgw|psadbw|pmaxub|pminub|pmaxsw|pminsw} xmm0, xmm1 @ n=2
{pcmpeqb|pcmpeqw|pcmpeqd|pcmpgtb|pcmpgtw|pcmpgtd|pand|pandn|por|pxor} xmm0, xmm1 @ n=2
{paddd|pmullw|pcmpeqb|pxor|punpcklbw|packuswb|psadbw} xmm0, xmmword ptr [rdi] @ n=1
paddd xmm0, xmmword ptr [rdi+1] @ n=1
{punpcklbw|punpcklwd|punpckldq|punpcklqdq|punpckhbw|punpckhwd|punpckhdq|punpckhqdq|packsswb|packssdw|packuswb} xmm0, xmm1 @ n=2
{psllw|pslld|psllq|psrlw|psrld|psrlq|psraw|psrad} xmm0, {0|1|15|31|63|64} @ n=1
{psllw|pslld|psllq|psrlw|psrld|psrlq|psraw|psrad} xmm0, xmm1 @ n=2 set:xmm1=3/1f/40/10000000000000000
{pslldq|psrldq} xmm0, {0|1|7|15|16} @ n=1
pshufd xmm0, xmm1, {0|0x1b|0xe4|0x93} @ n=1
{pshuflw|pshufhw} xmm0, xmm1, {0x1b|0xb1} @ n=1
pshufd xmm0, xmmword ptr [rdi], 0x4e @ n=1
pinsrw xmm0, eax, {0|3|7} @ n=1
pinsrw xmm0, word ptr [rdi], 5 @ n=1
pextrw eax, xmm1, {0|6} @ n=1
{pmovmskb|movmskps|movmskpd} eax, xmm1 @ n=2
{movdqa|movdqu|movaps|movups|movapd|movupd} xmm0, {xmm1|xmmword ptr [rdi]} @ n=1
{movdqa|movdqu|movaps|movups|movapd|movupd|movntdq|movntps} xmmword ptr [rdi], xmm9 @ n=1
{movdqu|movups|lddqu} xmm0, xmmword ptr [rdi+3] @ n=1
movdqa xmm0, xmmword ptr [rdi+8] @ n=1
movaps xmmword ptr [rdi+4], xmm0 @ n=1
movd xmm0, {eax|dword ptr [rdi]} @ n=1
movq xmm0, {rax|qword ptr [rdi]|xmm1} @ n=1
movd {eax|dword ptr [rdi]}, xmm1 @ n=1
movq {rax|qword ptr [rdi]}, xmm1 @ n=1
{movlps|movhps|movlpd|movhpd} xmm0, qword ptr [rdi] @ n=1
{movlps|movhps|movlpd|movhpd} qword ptr [rdi], xmm0 @ n=1
{movhlps|movlhps} xmm0, xmm1 @ n=1
maskmovdqu xmm0, xmm1 @ set:rdi=10000400 n=1
{pshufb|phaddw|phaddd|psignb|psignw|psignd|pabsb|pabsw|pabsd|pmulhrsw|pmaddubsw|phsubw} xmm0, xmm1 @ n=2
palignr xmm0, xmm1, {0|5|16|20} @ n=1
{pmulld|pmuldq|pminsb|pminuw|pminud|pminsd|pmaxsb|pmaxuw|pmaxud|pmaxsd|pcmpeqq|pcmpgtq|packusdw|phminposuw} xmm0, xmm1 @ n=2
pmov{sx|zx}{bw|bd|bq|wd|wq|dq} xmm0, xmm1 @ n=1
pinsr{b|d} xmm0, eax, 3 @ n=1
pinsrq xmm0, rax, 1 @ n=1
pextr{b|d} eax, xmm1, 2 @ n=1
pextrq rax, xmm1, 1 @ n=1
ptest xmm0, xmm1 @ n=4
ptest xmm0, xmm0 @ n=1 set:xmm0=0
{pblendw|mpsadbw} xmm0, xmm1, {0x5a|3} @ n=1
pblendvb xmm1, xmm2, xmm0 @ n=2
