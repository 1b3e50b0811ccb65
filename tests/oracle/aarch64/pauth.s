# Pointer authentication. Codes differ between implementations: what is signed is authenticated, or stripped, and
# registers that keep a code are not compared.
pac$k x0, x1; aut$k x0, x1 @ k=ia,ib,da,db n=2 set:x0=10001238/7ffffffff000/ffff800000001000/1200000010001234
pac$k x0, sp; aut$k x0, sp @ k=ia,ib,da,db n=1 set:x0=10001238
pac$k x0; aut$k x0 @ k=iza,izb,dza,dzb n=2 set:x0=10001238/7ffffffff000
pac$k x0, x1; xpac$t x0 @ k/t=ia/i,ib/i,da/d,db/d n=2 set:x0=10001238/7ffffffff000/ffff800000001000/1200000010001234
xpac{i|d} x0 @ n=6
xpaclri @ uses=x30 n=6
paci$ksp; auti$ksp @ k=a,b uses=x30 n=1 set:x30=10001238
paci$kz; auti$kz @ k=a,b uses=x30 n=1 set:x30=20000100
paci$k1716; auti$k1716 @ k=a,b uses=x16,x17 n=1 set:x17=20000100
paci$ksp; xpaclri @ k=a,b uses=x30 n=1 set:x30=10001238
paci$k x0, x1; bra$k x0, x1 @ k=a,b n=1 set:x0=20000020 undef=x0
paciz$k x0; bra$kz x0 @ k=a,b n=1 set:x0=20000020 undef=x0
paci$k x0, x1; blra$k x0, x1 @ k=a,b n=1 set:x0=20000020 undef=x0
paciz$k x0; blra$kz x0 @ k=a,b n=1 set:x0=20000020 undef=x0
paci$ksp; reta$k @ k=a,b uses=x30 n=1 set:x30=20000040 undef=x30
pacdz$k x1; ldra$k x0, [x1{|, #64|, #-8}] @ k=a,b n=1 undef=x1
pacdz$k x1; ldra$k x0, [x1, #{16|-4096}]! @ k=a,b n=1
pacga x0, x1, {x2|sp} @ n=2 undef=x0
