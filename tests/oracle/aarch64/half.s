# Half precision: scalar, vector, by element; FMLAL.
{fadd|fsub|fmul|fdiv|fnmul} h0, h1, h2 @ f16 n=16
{fmax|fmin|fmaxnm|fminnm} h0, h1, h2 @ f16 n=10
{fmadd|fmsub|fnmadd|fnmsub} h0, h1, h2, h3 @ f16 n=12
{fsqrt|fabs|fneg|fmov} h0, h1 @ f16 n=8
{frintn|frintp|frintm|frintz|frinta|frintx|frinti} h0, h1 @ f16 n=6
fcvt{n|p|m|z|a}{s|u} $r0, h1 @ f16 n=6
fcvtz{s|u} $r0, h1, #{1|20} @ f16 n=4
{s|u}cvtf h0, $r1 @ n=8
{s|u}cvtf h0, w1, #{1|16|32} @ n=4
{s|u}cvtf h0, x1, #{1|48|53|64} @ n=4
{s|u}cvtf h0, x1, #64 @ n=4 set:x1=8010000000000001/8010000000000000/8030000000000000/7ff0000000000001/4008000000000001
{s|u}cvtf h0, w1 @ n=4 set:x1=ffef/fff0/ffff/ffffffff/801/803
fcmp{|e} h1, h2 @ f16 n=8
fcmp{|e} h1, #0.0 @ f16 n=4
fccmp{|e} h1, h2, #{0|9}, {eq|gt} @ f16 n=3
fcsel h0, h1, h2, {eq|lt} @ f16 n=3
fmov h0, #{1.0|-0.125|31.0} @ n=1
fmov {w0|x0}, h1 @ n=1
fmov h0, {w1|x1} @ n=1
fmov v0.$T, #{1.0|-0.125|31.0} @ T=4h,8h n=1
{fadd|fsub|fmul|fdiv|fmax|fmin|fmaxnm|fminnm|fabd|fmulx} v0.$T, v1.$T, v2.$T @ T=4h,8h f16 n=4
{fmla|fmls} v0.$T, v1.$T, v2.$T @ T=4h,8h f16 n=6
{fmla|fmls|fmul|fmulx} v0.8h, v1.8h, v2.h[{0|7}] @ f16 n=3
{fmla|fmls|fmul|fmulx} v0.4h, v1.4h, v2.h[{1|6}] @ f16 n=2
{fmla|fmls|fmul|fmulx} h0, h1, v2.h[{2|5}] @ f16 n=3
{faddp|fmaxp|fminp|fmaxnmp|fminnmp} v0.$T, v1.$T, v2.$T @ T=4h,8h f16 n=3
{faddp|fmaxp|fminp|fmaxnmp|fminnmp} h0, v1.2h @ f16 n=4
{fmaxv|fminv|fmaxnmv|fminnmv} h0, v1.$T @ T=4h,8h f16 n=4
{fcmeq|fcmge|fcmgt|facge|facgt} v0.$T, v1.$T, v2.$T @ T=4h,8h f16 n=3
{fcmeq|fcmge|fcmgt|facge|facgt} h0, h1, h2 @ f16 n=3
{fcmeq|fcmge|fcmgt|fcmle|fcmlt} v0.$T, v1.$T, #0.0 @ T=4h,8h f16 n=2
{fcmeq|fcmge|fcmgt|fcmle|fcmlt} h0, h1, #0.0 @ f16 n=2
{fabs|fneg|fsqrt|frintn|frintp|frintm|frintz|frinta|frintx|frinti} v0.$T, v1.$T @ T=4h,8h f16 n=3
fcvt{n|p|m|z|a}{s|u} v0.$T, v1.$T @ T=4h,8h f16 n=3
fcvt{n|p|m|z|a}{s|u} h0, h1 @ f16 n=3
fcvtz{s|u} v0.$T, v1.$T, #{1|9|16} @ T=4h,8h f16 n=2
fcvtz{s|u} h0, h1, #{1|15} @ f16 n=2
{s|u}cvtf v0.$T, v1.$T @ T=4h,8h n=4
{s|u}cvtf v0.$T, v1.$T, #{1|9|16} @ T=4h,8h n=2
{s|u}cvtf h0, h1 @ n=3
{s|u}cvtf h0, h1, #{3|16} @ n=2
{frecpe|frsqrte} v0.$T, v1.$T @ T=4h,8h f16 n=8
{frecpe|frsqrte|frecpx} h0, h1 @ f16 n=8
{frecps|frsqrts} v0.$T, v1.$T, v2.$T @ T=4h,8h f16 n=6
{frecps|frsqrts|fmulx|fabd} h0, h1, h2 @ f16 n=6
{fmlal|fmlsl|fmlal2|fmlsl2} v0.$T, v1.$U, v2.$U @ T/U=2s/2h,4s/4h f16 n=6
{fmlal|fmlsl|fmlal2|fmlsl2} v0.$T, v1.$U, v2.h[{0|7}] @ T/U=2s/2h,4s/4h f16 n=4
{fadd|fmul|fdiv|fnmul} h0, h1, h2 @ f16 n=8 set:fpcr=400000/800000/c00000
fmadd h0, h1, h2, h3 @ f16 n=8 set:fpcr=400000/800000/c00000
{fsqrt|frintx|frinti} h0, h1 @ f16 n=6 set:fpcr=400000/800000/c00000
{fcvt h0, s1|fcvt h0, d1} @ f64 n=8 set:fpcr=400000/800000/c00000
fcvt h0, s1 @ f32 n=8 set:fpcr=400000/800000/c00000
scvtf h0, x1 @ n=6 set:fpcr=400000/800000/c00000
ucvtf h0, x1, #60 @ n=6 set:fpcr=400000/800000/c00000
{fadd|fmul|fmla|fmulx|frecps|frsqrts} v0.8h, v1.8h, v2.8h @ f16 n=4 set:fpcr=400000/800000/c00000
{frintx|frinti|fsqrt|frecpe} v0.8h, v1.8h @ f16 n=4 set:fpcr=400000/800000/c00000
fcvtn v0.4h, v1.4s @ f32 n=6 set:fpcr=400000/800000/c00000
fmlal v0.4s, v1.4h, v2.4h @ f16 n=4 set:fpcr=400000/800000/c00000
