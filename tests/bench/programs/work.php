<?php // Arrays, strings, functions, sorting, floats.
function fib($n) { return $n < 2 ? $n : fib($n - 1) + fib($n - 2); }
echo fib(31), "\n";
$seed = 1;
$counts = [];
$list = [];
for ($i = 0; $i < 1000000; $i++) {
    $seed = ($seed * 1103515245 + 12345) % 2147483648;
    $key = "k" . $seed % 4999;
    $counts[$key] = ($counts[$key] ?? 0) + $i;
    $list[] = $seed;
}
ksort($counts);
sort($list);
echo count($counts), " ", array_key_first($counts), " ", $list[1000], "\n";
$text = implode(" ", array_map(fn($i) => "word$i", range(1, 100000)));
echo preg_match_all('/\bw\w*?(\d)\1\b/', $text), " ", md5(strrev($text)), " ", crc32(str_replace("1", "one", $text)), "\n";
$x = 0.5;
for ($i = 0; $i < 20000000; $i++) $x = 3.7 * $x * (1 - $x);
printf("%.12f\n", $x);
