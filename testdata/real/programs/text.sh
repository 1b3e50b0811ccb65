# grep, sed, gawk, mawk, lua and sqlite3: one thing of each kind.
seq 30000 > n; printf 'one two\nthree\tfour\nfünf SECHS\n\nseven eight nine\n' > t
grep -c 7 n; grep -E '^(12|34)[0-9]{2}7$' n | wc -l; grep -P '(?<=12)3(?=4)\d*5' n | tail -2; grep -vn e t; grep -iow 's[a-z]*' t
grep -F -x -f t t | wc -l; grep -A1 -B1 three t; grep -bo '[[:upper:]]\+' t; grep -rl seven . ; printf 'a\0b\0' | grep -zc b; grep '\(.\)\1\1\1' n | tail -2
sed -n '100,105p;$p' n; sed -E 's/(.)(.)/\2\1/g;s/1/<&>/2' n | tail -2; sed 's/.*/\U&/;y/ÜF/üf/' t; sed -n '/one/,/^$/{=;l;}' t; sed ':a;N;$!ba;s/\n/,/g' t; sed '1!G;h;$!d' t; sed -i.old '2d;3a added' t; diff t t.old; sed -f /dev/stdin t <<'X'
/fünf/!b
s//six/w written
T
i\
before
X
cat written
for awk in gawk mawk; do
    echo $awk
    $awk '{ s += $1 * $1 / 7; h[$1 % 10]++ } END { printf "%.6f %d %s\n", s, length(h), h[3] }' n
    $awk 'BEGIN { for (i = 0; i < 6; i++) printf "%.15g %.15g %.15g %.15g\n", sin(i), exp(i / 3), log(i + 1), atan2(i, 2); print sqrt(2), int(-3.7), 7 % -3, 2 ^ 0.5, 1e300 * 1e300, substr("hello", 2, 3), index("abc", "c") }'
    $awk -F'\t| ' '{ n = split($0, a); gsub(/[aeiou]/, "#"); print NR, n, NF, toupper($1), $NF; sub(/#/, "&&"); print } END { print match("foobar", /o+/), RSTART, RLENGTH }' t
    $awk 'BEGIN { while (("seq 5" | getline x) > 0) y = y x; close("seq 5"); print y; print "b\na" | "sort"; close("sort"); printf "%c%5.2e|%-8s|%08d|%x|%o\n", 65, 12345.678, "ab", 42, 255, 8; "date -u -d @0 +%Y" | getline; print }'
    $awk 'function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) } BEGIN { print f(18); for (i = 0; i < 20000; i++) s = s "x"; print length(s); srand(1); a["x"]; delete a["x"]; print ("x" in a) }'
done
gawk 'BEGIN { n = split("c a b", a); asort(a); print a[1] a[2] a[3]; print gensub(/(b)(c)/, "\\2\\1", "g", "abcbc"), strftime("%F", 0, 1), and(12, 10), strtonum("0x1f"); PROCINFO["sorted_in"] = "@ind_num_desc"; for (i in a) printf i; print "" }'
cat > a.lua <<'X'
local t = {} for i = 1, 2000 do t[i] = (i * 7919) % 2003 end table.sort(t) print(#t, t[1], t[1000], t[2000])
print(string.format("%5.3f %g %d %x %q %a", 3.14159, 1e100, -7, 255, "a\nb", 0.1), ("hello world"):gsub("o", "0"), ("k=v, a=b"):match("(%w+)=(%w+), (%w+)"))
print(7 // 2, -7 // 2, 7 % -3, 7.5 // 2, 2^53, 1 / 0, -1 / 0, 0 / 0 ~= 0 / 0, math.maxinteger + 1 == math.mininteger, 3 | 4, ~5, 1 << 62)
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end print(fib(22))
local co = coroutine.wrap(function(a) for i = 1, 5 do a = coroutine.yield(a * i) end return "end" end) print(co(1), co(2), co(3), co(4), co(5), co(6))
print(pcall(error, {1}), pcall(function() local x = nil; return x.y end), select("#", table.unpack({1, 2, nil, 4}, 1, 4)), utf8.len("fünf"), string.pack("<i4d", 5, 0.5):byte(1, -1))
local m = setmetatable({}, {__index = function(_, k) return k * 2 end, __call = function(_, x) return x + 1 end, __gc = function() end}) print(m[21], m(1)) m = nil collectgarbage() print(os.date("!%F %T", 1e9), tostring(2^31), math.tointeger(3.0), load("return 1 + 1")())
for _, f in ipairs {math.sin, math.exp, math.log, math.atan, math.sqrt} do io.write(string.format("%.12g ", f(1.7))) end print()
X
lua5.4 a.lua
sqlite3 a.db 2>&1 <<'X'
create table t(a integer primary key, b text, c real); create index i on t(b);
with recursive n(x) as (select 1 union all select x + 1 from n where x < 5000) insert into t select x, printf('%05d', x * 7919 % 5003), x / 7.0 from n;
select count(*), sum(c), avg(a), max(b), group_concat(a) filter (where a < 6) from t where b like '%1%';
select a, b, row_number() over (order by b), lag(c) over (order by a) from t where a between 10 and 13;
begin; update t set c = c * 2 where a % 2; savepoint s; delete from t; rollback to s; commit; select total(c), hex(zeroblob(3)), json_extract('{"a":[1,{"b":2}]}', '$.a[1].b'), date(0, 'unixepoch'), julianday('2000-01-01'), round(2.5), typeof(1e3), abs(-9223372036854775807), instr('abc', 'c'), quote(x'00ff') from t;
create virtual table f using fts5(x); insert into f values('the quick brown fox'), ('lazy dogs'); select rowid, x from f where f match 'quick OR dog*';
pragma integrity_check; vacuum;
.dump f_config
select * from nowhere;
X
sqlite3 a.db 'select count(distinct b), min(c) from t' .schema
