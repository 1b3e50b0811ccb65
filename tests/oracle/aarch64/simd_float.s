# Vectors: floating point.
{fadd|fsub|fmul|fdiv|fmax|fmin|fmaxnm|fminnm|fabd|fmulx} v0.$T, v1.$T, v2.$T @ T=2s,4s f32 n=3
{fadd|fsub|fmul|fdiv|fmax|fmin|fmaxnm|fminnm|fabd|fmulx} v0.2d, v1.2d, v2.2d @ f64 n=4
{fmla|fmls} v0.$T, v1.$T, v2.$T @ T=2s,4s f32 n=3
{fmla|fmls} v0.2d, v1.2d, v2.2d @ f64 n=3
{fmla|fmls|fmul|fmulx} v0.4s, v1.4s, v2.s[{0|3}] @ f32 n=2
{fmla|fmls|fmul|fmulx} v0.2d, v1.2d, v2.d[1] @ f64 n=2
{fmla|fmul} s0, s1, v2.s[2] @ f32 n=2
{faddp|fmaxp|fminp|fmaxnmp|fminnmp} v0.$T, v1.$T, v2.$T @ T=2s,4s f32 n=2
{faddp|fmaxp|fminnmp} v0.2d, v1.2d, v2.2d @ f64 n=2
{faddp|fmaxp|fminp|fmaxnmp} s0, v1.2s @ f32 n=2
{faddp|fmaxnmp} d0, v1.2d @ f64 n=2
{fmaxv|fminv|fmaxnmv|fminnmv} s0, v1.4s @ f32 n=4
{fcmeq|fcmge|fcmgt|facge|facgt} v0.$T, v1.$T, v2.$T @ T=2s,4s f32 n=2
{fcmeq|fcmge|fcmgt|facge|facgt} v0.2d, v1.2d, v2.2d @ f64 n=2
{fcmeq|fcmge|fcmgt|fcmle|fcmlt} v0.4s, v1.4s, #0.0 @ f32 n=2
{fcmeq|fcmge|fcmgt|fcmle|fcmlt} v0.2d, v1.2d, #0.0 @ f64 n=2
{fcmeq|fcmge|facgt} d0, d1, d2 @ f64 n=2
{fabs|fneg|fsqrt|frintn|frintp|frintm|frintz|frinta|frintx|frinti} v0.$T, v1.$T @ T=2s,4s f32 n=2
{fabs|fneg|fsqrt|frintn|frintp|frintm|frintz|frinta|frintx|frinti} v0.2d, v1.2d @ f64 n=3
fcvt{n|p|m|z|a}{s|u} v0.4s, v1.4s @ f32 n=3
fcvt{n|p|m|z|a}{s|u} v0.2d, v1.2d @ f64 n=3
fcvtz{s|u} s0, s1 @ f32 n=3
fcvtz{s|u} d0, d1 @ f64 n=3
fcvtz{s|u} v0.4s, v1.4s, #{1|31} @ f32 n=2
{s|u}cvtf v0.{4s, v1.4s|2s, v1.2s|2d, v1.2d} @ n=3
{s|u}cvtf v0.4s, v1.4s, #{1|16} @ n=2
{s|u}cvtf {s0, s1|d0, d1} @ n=3
fcvtl v0.2d, v1.2s @ f32 n=3
fcvtl2 v0.2d, v1.4s @ f32 n=3
fcvtl v0.4s, v1.4h @ f16 n=3
fcvtn v0.2s, v1.2d @ f64 n=4
fcvtn2 v0.4s, v1.2d @ f64 n=3
fcvtn v0.4h, v1.4s @ f32 n=4
fcvtxn v0.2s, v1.2d @ f64 n=3
{frecpe|frsqrte} v0.4s, v1.4s @ f32 n=4
{frecpe|frsqrte} v0.2d, v1.2d @ f64 n=3
{frecps|frsqrts} v0.4s, v1.4s, v2.4s @ f32 n=3
frecpx d0, d1 @ f64 n=3
fadd v0.4s, v1.4s, v2.4s @ f32 n=6 set:fpcr=400000/800000/c00000/1000000/2000000
fmla v0.2d, v1.2d, v2.2d @ f64 n=4 set:fpcr=400000/2000000
