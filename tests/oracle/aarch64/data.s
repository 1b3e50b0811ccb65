# Arithmetic and logic on general registers.
{add|sub}{|s} $r0, $r1, $r2
{add|sub}{|s} $r0, $r1, $r2, {lsl|lsr|asr} #{1|17|31} @ n=2
{add|sub}{|s} x0, x1, x2, {lsl|lsr|asr} #{32|63} @ n=2
{add|sub}{|s} $r0, $r1, #{0|1|4095} @ n=2
{add|sub}{|s} $r0, $r1, #{1|0xabc}, lsl #12 @ n=2
{add|sub}{|s} $r0, $r1, w2, {uxtb|uxth|uxtw|sxtb|sxth|sxtw} #{0|3} @ n=1
{add|sub}{|s} x0, x1, w2, {uxtb|uxth|uxtw|sxtb|sxth|sxtw} #{0|4} @ n=1
{add|sub}{|s} x0, x1, x2, {uxtx|sxtx} #{0|2} @ n=2
{add|sub} {sp|x0}, sp, #{16|4095} @ n=1
{add|sub} x0, sp, x1, uxtx #{0|1} @ n=1
{add|sub} sp, sp, w1, uxtw #2 @ n=1
{adds|subs} x0, sp, #16 @ n=1
mov {x0|sp}, {x1|sp} @ n=1
cm{p|n} $r1, $r2 @ n=4
cm{p|n} $r1, #{0|77} @ n=2
neg{|s} $r0, $r1, lsl #{0|5} @ n=2
{adc|sbc}{|s} $r0, $r1, $r2 @ n=4
ngc{|s} $r0, $r1 @ n=2
{and|orr|eor|bic|orn|eon} $r0, $r1, $r2 @ n=2
{and|orr|eor|bic|orn|eon} $r0, $r1, $r2, {lsl|lsr|asr|ror} #{1|31} @ n=1
{ands|bics} $r0, $r1, $r2, {lsl|lsr|asr|ror} #{0|7} @ n=2
{and|orr|eor|ands} $r0, $r1, #{1|0x7ffffffe|0xff00ff00|0xe000000f|0x55555555} @ n=1 r=w
{and|orr|eor|ands} $r0, $r1, #{1|0xfffffffffffffffe|0xff00ff00ff00ff00|0x7fffffff00000000|0xaaaaaaaaaaaaaaaa|0x1fe000000000} @ n=1 r=x
orr sp, x1, #0xff0 @ n=1
tst $r0, #0xff @ n=2
mvn $r0, $r1, ror #3 @ n=2
mov{z|n|k} $r0, #{0|0x1234|0xffff}, lsl #{0|16} @ n=1
mov{z|n|k} x0, #{0|0x8001}, lsl #{32|48} @ n=1
{mul|mneg} $r0, $r1, $r2
{madd|msub} $r0, $r1, $r2, $r3
{smaddl|smsubl|umaddl|umsubl} x0, w1, w2, x3
{smull|umull|smnegl|umnegl} x0, w1, w2 @ n=2
{smulh|umulh} x0, x1, x2 @ n=4
{sdiv|udiv} $r0, $r1, $r2 @ n=4
{sdiv|udiv} $r0, $r1, $r2 @ set:x2=0 n=1
sdiv w0, w1, w2 @ set:x1=80000000 set:x2=ffffffff n=1
sdiv x0, x1, x2 @ set:x1=8000000000000000 set:x2=ffffffffffffffff n=1
{lsl|lsr|asr|ror} $r0, $r1, $r2 @ small=x2
{lsl|lsr|asr|ror} $r0, $r1, $r2 @ n=2
{adr|adrp} x0, .+{0|4|4096|1048572} @ n=1
add $r0, $r0, $r0 @ n=1
sub $r1, $r1, $r1 @ n=1
subs {wzr|w0}, w1, wzr @ n=1
add x0, xzr, x1, lsl #2 @ n=1
