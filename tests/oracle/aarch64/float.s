# Scalar floating point.
{fadd|fsub|fmul|fdiv|fnmul} s0, s1, s2 @ f32 n=14
{fadd|fsub|fmul|fdiv|fnmul} d0, d1, d2 @ f64 n=14
{fmax|fmin|fmaxnm|fminnm} s0, s1, s2 @ f32 n=10
{fmax|fmin|fmaxnm|fminnm} d0, d1, d2 @ f64 n=10
{fmadd|fmsub|fnmadd|fnmsub} s0, s1, s2, s3 @ f32 n=8
{fmadd|fmsub|fnmadd|fnmsub} d0, d1, d2, d3 @ f64 n=8
{fsqrt|fabs|fneg|fmov} s0, s1 @ f32 n=6
{fsqrt|fabs|fneg|fmov} d0, d1 @ f64 n=6
{frintn|frintp|frintm|frintz|frinta|frintx|frinti} s0, s1 @ f32 n=6
{frintn|frintp|frintm|frintz|frinta|frintx|frinti} d0, d1 @ f64 n=6
fcvt d0, s1 @ f32 n=8
fcvt s0, d1 @ f64 n=10
fcvt {s0|d0}, h1 @ f16 n=8
fcvt h0, s1 @ f32 n=10
fcvt h0, d1 @ f64 n=8
fcvt{n|p|m|z|a}{s|u} $r0, s1 @ f32 n=5
fcvt{n|p|m|z|a}{s|u} $r0, d1 @ f64 n=5
fcvtz{s|u} $r0, s1, #{1|20} @ f32 n=3
fcvtz{s|u} $r0, d1, #{4|32} @ f64 n=3
{s|u}cvtf {s0|d0}, $r1 @ n=6
{s|u}cvtf {s0|d0}, $r1, #{1|16} @ n=2
fcmp{|e} s1, s2 @ f32 n=8
fcmp{|e} d1, d2 @ f64 n=8
fcmp{|e} {s1|d1}, #0.0 @ f64 n=4
fccmp{|e} s1, s2, #{0|9}, {eq|gt} @ f32 n=3
fccmp{|e} d1, d2, #{0|6}, {ne|ls} @ f64 n=3
fcsel s0, s1, s2, {eq|lt} @ f32 n=2
fcsel d0, d1, d2, {ne|ge} @ f64 n=2
fmov {s0|d0}, #{1.0|-0.125|31.0} @ n=1
fmov w0, s1 @ n=1
fmov s0, w1 @ n=1
fmov x0, d1 @ n=1
fmov d0, x1 @ n=1
fmov x0, v1.d[1] @ n=1
fmov v0.d[1], x1 @ n=1
fadd s0, s1, s2 @ f32 n=4 set:fpcr=400000/800000/c00000
fmul d0, d1, d2 @ f64 n=6 set:fpcr=400000/800000/c00000/2000000/1000000
fdiv d0, d1, d2 @ f64 n=6 set:fpcr=400000/800000/c00000/2000000
fadd d0, d1, d2 @ f64 n=6 set:fpcr=2000000
fmul s0, s1, s2 @ f32 n=8 set:fpcr=1000000
frintx d0, d1 @ f64 n=4 set:fpcr=400000/800000/c00000
frinti s0, s1 @ f32 n=4 set:fpcr=400000/800000/c00000
fcvt s0, d1 @ f64 n=4 set:fpcr=400000/800000/c00000
fcvtzs x0, d1 @ f64 n=2 set:fpcr=400000/800000
scvtf s0, x1 @ n=4 set:fpcr=400000/800000/c00000
fsqrt d0, d1 @ f64 n=3 set:fpcr=800000/1000000
fadd d0, d0, d0 @ f64 n=1
frecpe d0, d1 @ f64 n=4
frsqrte s0, s1 @ f32 n=4
frecps s0, s1, s2 @ f32 n=4
frsqrts d0, d1, d2 @ f64 n=4
fabd s0, s1, s2 @ f32 n=4
fmulx d0, d1, d2 @ f64 n=6
