# System registers, hints, barriers, CRC32, traps.
nop @ n=1
{yield|sev|sevl|bti c|hint #50} @ n=1
{dmb|dsb} {ish|ishld|ishst|sy} @ n=1
isb @ n=1
mrs x0, nzcv @ n=3
msr nzcv, x0 @ n=3
mrs x0, fpcr @ n=2 set:fpcr=0/3000000/c00000
msr fpcr, x0 @ n=2 set:x0=0/1000000/800000/3c00000
msr fpsr, x0 @ n=2 set:x0=0/8000000
{crc32b|crc32h|crc32w|crc32cb|crc32ch|crc32cw} w0, w1, w2 @ n=2
{crc32x|crc32cx} w0, w1, x2 @ n=2
.inst 0x00000000 @ n=1
.inst 0x00001234 @ n=1
