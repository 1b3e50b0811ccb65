# The x87 that printf and long double need: loads, stores, exchanges, arithmetic, comparisons, control.
fld tbyte ptr [rdi] @ f80 mem st=0 n=6
fld qword ptr [rdi] @ f64 mem st=1 n=6
fld dword ptr [rdi] @ f32 mem st=0 n=6
fld st({0|1}) @ st=2 n=1
fstp tbyte ptr [rdi] @ st=1 n=5
{fst|fstp} qword ptr [rdi] @ st=1 n=6
{fst|fstp} dword ptr [rdi] @ st=2 n=5
{fst|fstp} st({1|2}) @ st=3 n=1
fild {word|dword|qword} ptr [rdi] @ st=0 n=3
fild qword ptr [rdi] @ st=1 set:rdi=10000600 set:[10000600]=0000000000000080/ffffffffffffffff/ffffffffffffff7f n=3
{fistp|fisttp} {word|dword|qword} ptr [rdi] @ st=1 n=4
fist {word|dword} ptr [rdi] @ st=1 n=4
fistp qword ptr [rdi] @ st=1 n=4 set:x87_control=77f/b7f/f7f
fxch {st(1)|st(2)} @ st=3 n=1
{fld1|fldz|fldpi|fldl2e|fldl2t|fldlg2|fldln2} @ st=0 n=1
{fadd|fsub|fsubr|fmul|fdiv|fdivr} st, st(1) @ st=2 n=6
{fadd|fsub|fsubr|fmul|fdiv|fdivr} st(1), st @ st=2 n=3
{faddp|fsubp|fsubrp|fmulp|fdivp|fdivrp} st(1), st @ st=2 n=4
{fadd|fsub|fmul|fdiv|fsubr|fdivr} qword ptr [rdi] @ f64 mem st=1 n=3
{fadd|fmul|fdiv} dword ptr [rdi] @ f32 mem st=1 n=2
{fiadd|fisub|fimul|fidiv|fidivr} {word|dword} ptr [rdi] @ st=1 n=2
{fadd|fmul|fdiv} st, st(1) @ st=2 n=4 set:x87_control=37f/27f/7f/b7f/77f/f7f
{fchs|fabs|frndint|fsqrt} @ st=1 n=5
frndint @ st=1 n=4 set:x87_control=77f/b7f/f7f
{fucomi|fcomi|fucomip|fcomip} st, st(1) @ st=2 n=6
{fucom|fcom|fucomp|fcomp} st(1) @ st=2 n=4
{fucompp|fcompp} @ st=2 n=4
ftst @ st=1 n=4
fxam @ st=1 n=8
fcmov{b|e|be|u|nb|ne|nbe|nu} st, st(1) @ st=2 n=2
fscale @ st=2 n=4
{fprem|fprem1} @ st=2 n=5
fxtract @ st=1 n=4
fnstcw word ptr [rdi] @ set:x87_control=37f/f7f n=2
fldcw word ptr [rdi] @ set:rdi=10000600 set:[10000600]=7f0f/7f03/7f02 n=3
fnstsw ax @ st=2 n=2 uses=rax
{fnop|fwait|fninit} @ st=1 n=1
{fincstp|fdecstp} @ st=2 n=1
ffree st(1) @ st=2 n=1
fbstp tbyte ptr [rdi] @ st=1 n=2
fbld tbyte ptr [rdi] @ st=0 set:rdi=10000600 set:[10000600]=78563412907856341280 n=1
