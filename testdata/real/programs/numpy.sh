# numpy: arithmetic on every type, and some of its own tests; not the last bits of transcendental functions, for which
# it has code of its own for each machine.
cat > a.py <<'X'
import hashlib, numpy as np
def show(name, a): print(name, a.dtype, a.shape, hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()[:16])
g = np.random.Generator(np.random.PCG64(7)); show('normal', np.round(g.standard_normal(1000), 9)); show('integers', g.integers(0, 1 << 40, 1000))
for t in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.float16, np.float32, np.float64):
    a = (np.arange(1, 1001) * 37 % 251).astype(t); b = (np.arange(1, 1001) * 13 % 97 + 1).astype(t)
    for name in ('add', 'subtract', 'multiply', 'floor_divide', 'remainder', 'maximum', 'minimum', 'less', 'equal'): show(name, getattr(np, name)(a, b))
    show('sort', np.sort(a)); show('argsort', np.argsort(a, kind='stable')); show('cumsum', np.cumsum(a)); show('where', np.where(a > b, a, b)); show('clip', a.clip(3, 90)); show('unique', np.unique(a))
    if a.dtype.kind == 'f':
        for name in ('sqrt', 'floor', 'rint', 'abs', 'negative', 'reciprocal', 'isnan', 'signbit', 'trunc', 'square'): show(name, getattr(np, name)(a / 7 - 3 if name != 'sqrt' else a / 7))
    else:
        for name in ('bitwise_and', 'bitwise_xor', 'left_shift', 'right_shift', 'gcd', 'lcm'): show(name, getattr(np, name)(a, b % t(5)))
    for u in (np.int8, np.int32, np.uint64, np.float16, np.float32, np.float64, np.complex64): show(f'as {u.__name__}', a.astype(u))
m = (np.arange(64 * 64).reshape(64, 64) % 17).astype(float); show('matmul', m @ m.T); print(np.round(np.linalg.det(m[:5, :5] + np.eye(5) * 9), 6), np.round(np.linalg.solve(m[:6, :6] + np.eye(6) * 30, np.ones(6)), 9), np.linalg.matrix_rank(m), np.round(np.linalg.svd(m[:8, :8], compute_uv=False), 6))
show('fft', np.round(np.fft.fft(m[3]), 6) + 0.0); show('einsum', np.einsum('ij,jk->ki', m, m)); show('histogram', np.histogram(m, 7)[0]); show('strings', np.char.upper(np.array(['abc', 'de']))); print(np.datetime64('2001-02-03') + np.timedelta64(40, 'D'), np.array2string(np.linspace(0, 1, 5)), np.polyfit([1, 2, 3], [2, 4, 6], 1).round(6) + 0.0)
with np.errstate(all='raise'):
    for what in (lambda: np.float64(1) / 0, lambda: np.array([1e308]) * 10, lambda: np.array([1e-308]) / 1e10, lambda: np.sqrt(np.array([-1.0])), lambda: np.array([1, 2]) // 0):
        try: print(what())
        except FloatingPointError as error: print(error)
X
python3 a.py
for part in core/tests/test_scalarmath core/tests/test_shape_base core/tests/test_numeric core/tests/test_half core/tests/test_indexing lib/tests/test_stride_tricks linalg/tests/test_regression fft/tests/test_helper; do
    python3 -m pytest -q -x -p no:cacheprovider /usr/lib/python3/dist-packages/numpy/$part.py 2>&1 | tail -1 | sed 's/ in [0-9.]*s.*//'
done
