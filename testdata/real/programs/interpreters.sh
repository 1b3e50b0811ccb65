# ruby, php, luajit: arithmetic, text, collections, closures, exceptions, threads, garbage.
cat > a.rb <<'X'
require 'digest'; require 'json'; require 'set'; require 'bigdecimal'; require 'zlib'; require 'time'; require 'open3'
puts (1..2000).map { |i| i * 7919 % 2003 }.sort.each_slice(500).map(&:sum).inspect, 2**200, 10.pow(50, 97), 7.fdiv(3), -7 / 2, -7 % 3, 0.1 + 0.2, 1e23, 1.0.next_float, Rational(3, 4) + 1, Complex(1, 2)**3, Math.gamma(5), Integer.sqrt(10**40)
puts %w[md5 SHA1 SHA256 SHA512].map { |d| Digest.const_get(d.upcase).hexdigest('x' * 1000) }
puts JSON.generate(JSON.parse('{"a":[1,2.5,null],"b":"\u00fc"}')), "fünf sechs".gsub(/(\w+)/) { $1.capitalize.reverse }, "a1b22".scan(/\d+/).inspect, "%08.3f|%-5s|%+x" % [3.14159, "ab", 255], "héllo".unpack("U*").inspect, [1, 2.5, "x"].pack("Nga*").bytes.inspect
fib = Hash.new { |h, n| h[n] = n < 2 ? n : h[n - 1] + h[n - 2] }; puts fib[90]
puts [3, 1, 2].permutation.to_a.length, (1..Float::INFINITY).lazy.map { |x| x * 2 }.select { |x| x % 3 == 0 }.first(4).inspect, Set[1, 2] ^ Set[2, 3] == Set[1, 3], :a <=> :b
begin; raise ArgumentError, "no" rescue puts $!.message; ensure; puts "ensured"; end; puts catch(:x) { throw :x, 5 }
begin; nil.foo; rescue NoMethodError => e; puts e.class; end; def deep(n) = deep(n + 1); begin; deep(0); rescue SystemStackError; puts "deep"; end
q = Queue.new; t = 4.times.map { |i| Thread.new { 100.times { |j| q << i * j } } }; t.each(&:join); puts q.size; f = Fiber.new { |x| loop { x = Fiber.yield(x * 2) } }; puts f.resume(2), f.resume(5)
puts Zlib.crc32("hello"), Zlib.inflate(Zlib.deflate("x" * 10000)).size, BigDecimal("1.1").sqrt(20).to_s, Time.at(0).utc.iso8601, Open3.capture2("tr a-z A-Z", stdin_data: "abc")[0]
200000.times { |i| "garbage#{i}" }; GC.start; puts ObjectSpace.count_objects[:TOTAL] > 0; puts eval("1 + 1"), binding.local_variables.length > 1, define_method(:m) { |x| x } rescue puts "private"
pid = fork { exit 3 }; Process.wait pid; puts $?.exitstatus; at_exit { puts "bye" }; Signal.trap("USR1") { puts "usr1" }; Process.kill("USR1", $$); sleep 0.05
X
ruby --disable-gems a.rb 2>&1; ruby --yjit -e 'def f(n) = n < 2 ? n : f(n - 1) + f(n - 2)
puts f(24)' 2>/dev/null || ruby -e 'def f(n) = n < 2 ? n : f(n - 1) + f(n - 2)
puts f(24)'
cat > a.php <<'X'
<?php
$a = []; for ($i = 0; $i < 2000; $i++) $a[] = $i * 7919 % 2003; sort($a); echo count($a), ' ', $a[1000], ' ', array_sum($a), "\n";
foreach (hash_algos() as $h) echo $h, ' ', hash($h, str_repeat('x', 1000)), "\n";
printf("%08.3f|%-5s|%x|%e|%b %s %s\n", 3.14159, 'ab', 255, 12345.678, 10, 0.1 + 0.2, 1e100); var_dump(intdiv(-7, 2), -7 % 3, 7 <=> 8, PHP_INT_MAX + 1, (int)'12abc', 0.1 + 0.7, round(2.5), fmod(7.5, 2), sqrt(2), 2 ** 63);
echo json_encode(json_decode('{"a":[1,2.5,null],"b":"\u00fc"}')), serialize([1, 'a' => true]), "\n"; echo preg_replace_callback('/(\w+)/u', fn($m) => strrev($m[1]), 'one two'), ' ', preg_match('/(?<y>\d{4})-(\d\d)/', 'on 2001-02', $m), $m['y'], "\n";
function fib($n) { return $n < 2 ? $n : fib($n - 1) + fib($n - 2); } echo fib(23), "\n"; function g() { $x = yield 1; echo $x; yield from [2, 3]; return 4; } $g = g(); echo $g->current(); $g->send('sent'); foreach ($g as $v) echo $v; echo $g->getReturn(), "\n";
class A implements ArrayAccess, Countable { private $d = []; function offsetExists(mixed $o): bool { return isset($this->d[$o]); } function offsetGet(mixed $o): mixed { return $this->d[$o] ?? 'none'; } function offsetSet(mixed $o, mixed $v): void { $this->d[$o] = $v; } function offsetUnset(mixed $o): void { unset($this->d[$o]); } function count(): int { return count($this->d); } function __destruct() { echo "gone\n"; } }
$o = new A; $o['x'] = 1; echo $o['x'], $o['y'], count($o), "\n"; unset($o); try { throw new DomainException('no'); } catch (Exception $e) { echo get_class($e), "\n"; } finally { echo "finally\n"; } try { intdiv(1, 0); } catch (DivisionByZeroError $e) { echo $e->getMessage(), "\n"; }
enum S: string { case A = 'a'; case B = 'b'; } echo S::from('b')->name, match (true) { default => 'matched' }, "\n"; echo date('c', 0), ' ', md5(gzcompress(str_repeat('abc', 5000))), ' ', crc32('hello'), ' ', levenshtein('kitten', 'sitting'), ' ', soundex('Robert'), ' ', similar_text('World', 'Word'), "\n"; mt_srand(42); echo mt_rand(), ' ', mt_rand(1, 100), "\n"; echo shell_exec('echo from a shell'); exit(4);
X
php=$(echo /usr/bin/php[0-9]*)
$php -n a.php; echo "php ended with $?"; $php -n -d opcache.enable_cli=1 -r 'echo array_sum(array_map(fn($x) => $x ** 2, range(1, 1000))), "\n";'
cat > a.jit <<'X'
local ffi, bit = require "ffi", require "bit"
local s = 0 for i = 1, 3e6 do s = s + i % 7 * 0.5 end print(s)
local x = 1 for i = 1, 2e6 do x = bit.bxor(bit.rol(x, 5), i) end print(x, bit.tohex(x))
ffi.cdef [[ typedef struct { double x, y; int32_t n; } point; int abs(int); size_t strlen(const char *); int snprintf(char *, size_t, const char *, ...); ]]
local p = ffi.new("point[1000]") for r = 1, 100 do for i = 0, 999 do p[i].x = p[i].x + i * r p[i].n = p[i].n - i end end print(p[999].x, p[999].n, ffi.C.abs(-5), tonumber(ffi.C.strlen("hello")))
local b = ffi.new("char[64]") ffi.C.snprintf(b, 64, "%d %.3f %s", ffi.cast("int", 42), 3.14159, "x") print(ffi.string(b), 0x7fffffffffffffffLL + 1, 10ULL / 3)
local t = {} for i = 1, 20000 do t[i] = (i * 7919) % 20011 end table.sort(t) print(t[1], t[10000], #table.concat(t, ","))
local cb = ffi.cast("int (*)(int)", function(a) return a * 2 end) print(cb(21)) cb:free()
local co = coroutine.wrap(function() for i = 1, 1e5 do coroutine.yield(i) end end) local c = 0 for i = 1, 1e5 do c = c + co() end print(c)
print(pcall(function() local a = nil return a.b end), string.format("%.14g %5.1f %x", 0.1, 2.25, 255), ("x"):rep(5), (("a,b,c"):gsub(",", ";")))
for i = 1, 200 do local f = loadstring("local a = ... for i = 1, 100 do a = a + " .. i .. " end return a") s = s + f(i) end print(s)
X
luajit a.jit; luajit -joff a.jit | tail -2; echo "luajit ended with $?"
