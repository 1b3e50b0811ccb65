# Loads and stores: sizes, addressing forms, pairs, literals.
{ldr|str} {w0|x0|b0|h0|s0|d0|q0}, [x1] @ odd n=2
{ldr|str} {w0|x0|s0|d0|q0}, [x1, #{16|4080}] @ odd n=1
{ldrb|ldrh|ldrsb|ldrsh|strb|strh} w0, [x1, #{0|2|62}] @ odd n=2
{ldrsb|ldrsh|ldrsw} x0, [x1, #{0|4|64}] @ odd n=2
{ldr|str} {w0|x0|b0|h0|s0|d0|q0}, [x1, #{-7|200}]! @ odd n=1
{ldr|str} {w0|x0|b0|h0|s0|d0|q0}, [x1], #{-256|255} @ odd n=1
{ldrb|ldrh|strb|strh|ldrsb|ldrsh} w0, [x1], #{-1|9} @ odd n=1
{ldrsb|ldrsh|ldrsw} x0, [x1, #{-3|12}]! @ odd n=1
{ldur|stur} {w0|x0|b0|h0|s0|d0|q0}, [x1, #{-256|-1|255}] @ odd n=1
{ldurb|ldurh|ldursb|ldursh|sturb|sturh} w0, [x1, #-3] @ odd n=1
{ldursb|ldursh|ldursw} x0, [x1, #-3] @ odd n=1
{ldtr|sttr} $r0, [x1, #-5] @ odd n=1
{ldtrb|ldtrh|ldtrsb|ldtrsh|sttrb|sttrh} w0, [x1, #8] @ odd n=1
ldtrsw x0, [x1, #4] @ n=1
{ldr|str} w0, [x1, x2{|, lsl #2}] @ odd n=2
{ldr|str} x0, [x1, x2{|, lsl #3|, sxtx|, sxtx #3}] @ odd n=1
{ldr|str} {w0|s0}, [x1, w2, {uxtw|sxtw}{| #2}] @ odd n=1
{ldr|str} {x0|d0}, [x1, w2, {uxtw|sxtw}{| #3}] @ odd n=1
{ldr|str} q0, [x1, {x2|w2, uxtw|x2, lsl #4}] @ odd n=1
{ldrb|strb|ldrsb} w0, [x1, {x2|w2, uxtw|w2, sxtw|x2, lsl #0}] @ odd n=1
{ldrh|strh|ldrsh} w0, [x1, {x2|w2, uxtw #1|x2, lsl #1}] @ odd n=1
ldrsw x0, [x1, {x2|w2, sxtw #2|x2, lsl #2}] @ odd n=1
{ldr|str} {b0|h0}, [x1, x2] @ odd n=1
{ldp|stp} $r0, $r2, [x1{|, #-64|, #56}] @ odd n=1
{ldp|stp} $r0, $r2, [x1, #-16]! @ odd n=1
{ldp|stp} $r0, $r2, [x1], #32 @ odd n=1
{ldp|stp} {s0, s2|d0, d2|q0, q2}, [x1{|, #-64|, #48}] @ odd n=1
{ldp|stp} {s0, s2|d0, d2|q0, q2}, [x1, #-32]! @ odd n=1
{ldp|stp} {s0, s2|d0, d2|q0, q2}, [x1], #64 @ odd n=1
{ldnp|stnp} {x0, x2|w0, w2|q0, q2}, [x1, #32] @ odd n=1
ldpsw x0, x2, {[x1]|[x1, #-8]!|[x1], #8} @ n=1
{ldr|str} x0, [sp, #{8|64}] @ n=1
{stp|ldp} x29, x30, [sp, #-32]! @ n=1
ldr {w0|x0|s0|d0|q0}, .+{8|64} @ n=1
ldrsw x0, .+16 @ n=1
{ldr|str} x0, [x1] @ set:x1=30000000 n=1
{ldp|stp} x0, x2, [x1], #16 @ set:x1=10010000 n=1
{str|ldr} q0, [x1, #16]! @ set:x1=1000fff0 n=1
ldr x1, [x1] @ n=1
prfm pldl1keep, [x1, #8] @ n=1
{ldar|ldapr} $r0, [x1] @ n=1
{ldarb|ldarh|ldaprb|ldaprh|ldlarb} w0, [x1] @ n=1
{stlr|stllr} $r0, [x1] @ n=1
{stlrb|stlrh} w0, [x1] @ n=1
{ldapur|stlur} $r0, [x1, #-8] @ n=1
