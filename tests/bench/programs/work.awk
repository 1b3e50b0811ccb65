# Fields, associative arrays, regular expressions, arithmetic.
{ sum[substr($1, 1, 3)] += $2; if ($1 ~ /[13579]0*7$/) odd++; gsub(/[0-4]/, "x", $1); length_all += length($0) }
END {
    for (key in sum) { n++; total += sum[key] }
    for (i = 0; i < 2000000; i++) x = (x * 7 + i) % 1000003
    print n, total, odd, length_all, x
}
