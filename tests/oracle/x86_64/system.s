# Traps, undefined instructions, what user code may ask.
ud2 @ n=1
hlt @ n=1
in al, dx @ n=1
.byte 0x06 @ n=1
.byte 0x0f, 0x0b @ n=1
movaps xmm0, [rdi] @ set:rdi=10000001 n=1
