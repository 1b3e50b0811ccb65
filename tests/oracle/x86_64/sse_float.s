# SSE and SSE2, floating point.
{addps|subps|mulps|divps|minps|maxps} xmm0, xmm1 @ f32 n=4
{addpd|subpd|mulpd|divpd|minpd|maxpd} xmm0, xmm1 @ f64 n=5
{addss|subss|mulss|divss|minss|maxss} xmm0, xmm1 @ f32 n=10
{addsd|subsd|mulsd|divsd|minsd|maxsd} xmm0, xmm1 @ f64 n=10
{addss|mulss} xmm0, dword ptr [rdi] @ f32 mem n=2
{addsd|mulsd|divsd} xmm0, qword ptr [rdi] @ f64 mem n=2
{addps|mulps} xmm0, xmmword ptr [rdi] @ f32 mem n=2
{sqrtps|sqrtss} xmm0, xmm1 @ f32 n=5
{sqrtpd|sqrtsd} xmm0, xmm1 @ f64 n=5
{andps|andnps|orps|xorps|unpcklps|unpckhps} xmm0, xmm1 @ n=1
{andpd|andnpd|orpd|xorpd|unpcklpd|unpckhpd} xmm0, xmm1 @ n=1
cmp{eq|lt|le|unord|neq|nlt|nle|ord}ps xmm0, xmm1 @ f32 n=2
cmp{eq|lt|le|unord|neq|nlt|nle|ord}pd xmm0, xmm1 @ f64 n=2
cmp{eq|lt|le|unord|neq|nlt|nle|ord}ss xmm0, xmm1 @ f32 n=3
cmp{eq|lt|le|unord|neq|nlt|nle|ord}sd xmm0, xmm1 @ f64 n=3
{comiss|ucomiss} xmm0, xmm1 @ f32 n=8
{comisd|ucomisd} xmm0, xmm1 @ f64 n=8
shufps xmm0, xmm1, {0x1b|0xd8} @ n=1
shufpd xmm0, xmm1, {0|1|2|3} @ n=1
{movss|movsd} xmm0, xmm1 @ n=1
movss {xmm0, dword ptr [rdi]|dword ptr [rdi], xmm0} @ n=1
movsd {xmm0, qword ptr [rdi]|qword ptr [rdi], xmm0} @ n=1
cvtsi2ss xmm0, {eax|rax|dword ptr [rdi]} @ n=4
cvtsi2sd xmm0, {eax|rax|qword ptr [rdi]} @ n=4
{cvtss2si|cvttss2si} {eax|rax}, xmm1 @ f32 n=6
{cvtsd2si|cvttsd2si} {eax|rax}, xmm1 @ f64 n=6
cvtss2sd xmm0, xmm1 @ f32 n=6
cvtsd2ss xmm0, xmm1 @ f64 n=8
{cvtps2dq|cvttps2dq} xmm0, xmm1 @ f32 n=5
cvtps2pd xmm0, xmm1 @ f32 n=5
{cvtpd2dq|cvttpd2dq|cvtpd2ps} xmm0, xmm1 @ f64 n=6
{cvtdq2ps|cvtdq2pd} xmm0, xmm1 @ n=4
addsd xmm0, xmm1 @ f64 n=5 set:mxcsr=3f80/5f80/7f80/9f80
mulss xmm0, xmm1 @ f32 n=8 set:mxcsr=3f80/5f80/7f80/9f80/1fc0/9fc0
mulsd xmm0, xmm1 @ f64 n=6 set:mxcsr=3f80/9f80/1fc0
cvtsd2si rax, xmm1 @ f64 n=4 set:mxcsr=3f80/5f80/7f80
cvtsd2ss xmm0, xmm1 @ f64 n=4 set:mxcsr=3f80/5f80/7f80/9f80
cvtps2dq xmm0, xmm1 @ f32 n=3 set:mxcsr=3f80/5f80/7f80
sqrtsd xmm0, xmm1 @ f64 n=3 set:mxcsr=3f80/1fc0
ldmxcsr dword ptr [rdi] @ set:rdi=10000500 set:[10000500]=801f0000/c09f0000 n=2
{haddps|hsubps|addsubps} xmm0, xmm1 @ f32 n=2
{haddpd|addsubpd} xmm0, xmm1 @ f64 n=2
{movsldup|movshdup|movddup} xmm0, xmm1 @ n=1
round{ss|ps} xmm0, xmm1, {0|1|2|3|4} @ f32 n=2
round{sd|pd} xmm0, xmm1, {0|1|2|3|4} @ f64 n=2
dpps xmm0, xmm1, {0xff|0x71} @ f32 n=2
dppd xmm0, xmm1, 0x31 @ f64 n=2
{blendps|insertps} xmm0, xmm1, {0x5|0x9c} @ n=1
blendvps xmm1, xmm2, xmm0 @ n=1
extractps eax, xmm1, 2 @ n=1
