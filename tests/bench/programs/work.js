// Objects, maps, strings, typed arrays, JSON, closures; "short" does a tenth.
const rounds = process.argv[2] === "short" ? 1 : 10;
let total = 0;
const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));
for (let round = 0; round < rounds; round++) {
  total += fib(28);
  const sieve = new Uint8Array(1000000);
  for (let i = 2; i < 1000; i++) if (!sieve[i]) for (let j = i * i; j < 1000000; j += i) sieve[j] = 1;
  for (let i = 2; i < 1000000; i++) total += 1 - sieve[i];
  const map = new Map();
  let seed = 1;
  const list = [];
  for (let i = 0; i < 100000; i++) {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    const key = "k" + (seed % 4999);
    map.set(key, (map.get(key) || 0) + 1);
    list.push({ key, seed, i });
  }
  list.sort((a, b) => a.seed - b.seed || a.i - b.i);
  const text = JSON.stringify(list.slice(0, 20000));
  total += JSON.parse(text).length + map.size + text.replace(/\d7/g, "x").length;
  let x = 0.5;
  for (let i = 0; i < 3000000; i++) x = 3.7 * x * (1 - x);
  total += Math.floor(x * 1000);
}
console.log(total);
