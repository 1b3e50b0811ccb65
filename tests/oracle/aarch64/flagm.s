# Flag manipulation: FEAT_FlagM, FEAT_FlagM2.
{cfinv|xaflag|axflag} @ n=12
rmif x0, #{0|1|31|63}, #{0|5|10|15} @ n=2
{setf8|setf16} w0 @ n=12 set:x0=0/7f/80/ff/100/17f/7fff/8000/ffff/10000/18000/ffffffff
{setf8|setf16} w0 @ n=4
fcmp s0, s1; axflag @ f32 n=4
