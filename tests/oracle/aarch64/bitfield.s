# Bit fields, extracts, counts and reversals.
{sbfm|ubfm|bfm} w0, w1, #{0|1|8|31}, #{0|7|15|31} @ n=1
{sbfm|ubfm|bfm} x0, x1, #{0|1|16|63}, #{0|7|31|63} @ n=1
{sxtb|sxth} $r0, w1 @ n=2
sxtw x0, w1 @ n=2
{uxtb|uxth} w0, w1 @ n=1
{bfi|bfxil|sbfiz|ubfiz|sbfx|ubfx} $r0, $r1, #{3|20}, #{1|9} @ n=1
{lsl|lsr|asr|ror} $r0, $r1, #{1|13|31} @ n=2
{lsl|lsr|asr|ror} x0, x1, #{32|63} @ n=2
extr w0, w1, w2, #{0|1|31} @ n=2
extr x0, x1, x2, #{0|1|33|63} @ n=2
{clz|cls|rbit|rev|rev16} $r0, $r1 @ n=4
{clz|cls} $r0, $r1 @ set:x1=0/ffffffffffffffff/ffffffff/1
rev32 x0, x1 @ n=2
bfc $r0, #{3|30}, #{1|2} @ n=1
