# Vectors: structure loads and stores.
{ld1|st1} <<v0.$T>>, [x1] @ T=8b,16b,4h,8h,2s,4s,1d,2d odd n=1
{ld1|st1} <<v0.16b, v1.16b{|, v2.16b|, v2.16b, v3.16b}>>, [x1] @ odd n=1
{ld1|st1} <<v0.2d, v1.2d>>, [x1], #32 @ odd n=1
{ld1|st1} <<v0.8b, v1.8b>>, [x1], x2 @ odd n=1
{ld2|st2} <<v0.$T, v1.$T>>, [x1] @ T=8b,16b,4h,8h,2s,4s,2d odd n=1
{ld3|st3} <<v0.$T, v1.$T, v2.$T>>, [x1] @ T=8b,16b,8h,2s,4s,2d odd n=1
{ld4|st4} <<v0.$T, v1.$T, v2.$T, v3.$T>>, [x1] @ T=8b,16b,4h,8h,4s,2d odd n=1
{ld2|st2} <<v0.4s, v1.4s>>, [x1], #32 @ n=1
{ld4|st4} <<v30.16b, v31.16b, v0.16b, v1.16b>>, [x1], #64 @ n=1
{ld1|st1} <<v0.$R>>[$N], [x1] @ R/N=b/13,h/5,s/3,d/1 odd n=1
{ld1|st1} <<v0.s>>[2], [x1], #4 @ n=1
{ld2|st2} <<v0.$R, v1.$R>>[$N], [x1] @ R/N=b/3,h/7,s/0,d/1 n=1
{ld3|st3} <<v0.h, v1.h, v2.h>>[4], [x1] @ n=1
{ld4|st4} <<v0.s, v1.s, v2.s, v3.s>>[1], [x1], #16 @ n=1
ld1r <<v0.$T>>, [x1] @ T=8b,16b,4h,8h,2s,4s,1d,2d n=1
ld2r <<v0.4s, v1.4s>>, [x1] @ n=1
ld3r <<v0.8h, v1.8h, v2.8h>>, [x1], #6 @ n=1
ld4r <<v0.2d, v1.2d, v2.2d, v3.2d>>, [x1], x2 @ n=1
