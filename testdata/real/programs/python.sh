# python3: hashes, floats, decimal, ctypes, sqlite3, compression. Not cbrt, whose last bit differs between the two C
# libraries. The end kills python, which has to have printed by then.
cat > a.py <<'X'
import hashlib,zlib,json,decimal,ctypes,sqlite3,struct,random,math,re,os,sys,time,lzma,bz2,datetime,fractions,itertools,functools,collections,statistics,cmath,array,base64,binascii,pickle,csv,io,uuid,difflib,textwrap,heapq,bisect,string,unicodedata,xml.etree.ElementTree as ET
for h in sorted(hashlib.algorithms_guaranteed):
    d=hashlib.new(h); d.update(b'x'*100000); print(h, d.hexdigest(16) if 'shake' in h else d.hexdigest())
r=random.Random(1); data=bytes(r.randrange(256) if r.random()<.3 else 65 for _ in range(50000))
for m in (zlib,bz2,lzma): c=m.compress(data); assert m.decompress(c)==data; print(m.__name__,len(c))
print(zlib.crc32(data),zlib.adler32(data),binascii.crc_hqx(data,0))
decimal.getcontext().prec=60; print(decimal.Decimal(2).sqrt(), decimal.Decimal(1)/7, decimal.Decimal(3).exp(), decimal.Decimal(10).ln())
print(math.factorial(200), pow(3,10**5,10**30+57), 2**1000//3**200)
for f in 'sin cos tan asin acos atan sinh cosh tanh exp log sqrt gamma lgamma erf erfc expm1 log1p exp2'.split():
    print(f,[getattr(math,f)(x/10).hex() for x in range(1,10)])
print([math.fma(1,2,3) if hasattr(math,'fma') else 0, math.fmod(-7,3), math.remainder(7,4), math.hypot(3,4,5), math.ldexp(.7,-1070), math.nextafter(1,2), math.ulp(1e300)])
print(float('nan'), -float('inf'), 1e308*10, 0.1+0.2, repr(1/3), '%.30f'%0.1, round(2.675,2), divmod(-7.5,2), 5e-324, int(1e22), (0.1).as_integer_ratio())
print(cmath.exp(1j), cmath.sqrt(-1), cmath.log(-1+0j), (1+2j)**(3-1j))
print(json.dumps(json.loads('{"a":[1,2.5,null,true,"\\u00e9"],"b":{"c":-1e-7}}'),sort_keys=True))
db=sqlite3.connect(':memory:'); db.execute('create table t(a integer primary key,b text,c real)'); db.executemany('insert into t values(?,?,?)',[(i,str(i*i),i/7) for i in range(2000)]); print(db.execute('select count(*),sum(c),avg(a),max(b),total(c*c) from t where b like "%1%"').fetchall())
libc=ctypes.CDLL(None); libm=ctypes.CDLL('libm.so.6'); libm.pow.restype=ctypes.c_double; libm.pow.argtypes=[ctypes.c_double]*2; print(libm.pow(2,.5), libc.strlen(b'hello'), libc.abs(-5))
CMP=ctypes.CFUNCTYPE(ctypes.c_int,ctypes.POINTER(ctypes.c_int),ctypes.POINTER(ctypes.c_int)); a=(ctypes.c_int*10)(*[5,3,8,1,9,2,7,4,6,0]); libc.qsort(a,10,4,CMP(lambda x,y:x[0]-y[0])); print(list(a))
class St(ctypes.Structure): _fields_=[('a',ctypes.c_byte),('b',ctypes.c_double),('c',ctypes.c_short*3)]
print(ctypes.sizeof(St), bytes(St(1,2.5,(1,2,3))).hex())
print(struct.pack('<bhiqfd',1,2,3,4,1.5,2.5).hex(), struct.pack('e',1.337).hex(), struct.unpack('<e',b'\x01\x00'))
print(hash('') ,hash(1.5),hash(10**20),hash((1,2,3)))
print(fractions.Fraction(3.14159).limit_denominator(1000), statistics.stdev([1,2,3,4,7.5]), statistics.NormalDist(0,1).inv_cdf(.975))
x=[r.random() for _ in range(20000)]; print(sum(x),math.fsum(x),sorted(x)[:3],r.gauss(0,1),r.shuffle(x),x[0])
print(re.findall(r'(?i)\b(\w+)ing\b','Testing running Being sing'), re.sub(r'(?P<a>\d+)',lambda m:str(int(m[1])*2),'a1b22c333'))
print(len(pickle.dumps(list(range(1000)))), datetime.datetime.fromtimestamp(0,datetime.timezone.utc), uuid.uuid5(uuid.NAMESPACE_DNS,'x'))
print(unicodedata.normalize('NFD','é').encode(), 'ß'.upper(), 'İ'.lower().encode())
print(ET.tostring(ET.fromstring('<a><b c="d">x</b></a>')))
s=0
for i in range(20000): s=(s*31+i)&0xffffffff
print(s)
def fib(n): return n if n<2 else fib(n-1)+fib(n-2)
print(fib(15))
def rec(n): return 0 if n==0 else 1+rec(n-1)
try: rec(100000)
except RecursionError as e: print('RecursionError')
print(os.urandom(8)!=os.urandom(8), sys.maxsize, sys.float_info.epsilon, sys.byteorder)
try: ctypes.string_at(0)
except Exception as e: print(e)
X
PYTHONHASHSEED=0 python3 -u a.py
