# Hashes, regular expressions, sorting, subroutines, integers.
use strict;
sub fib { my $n = shift; $n < 2 ? $n : fib($n - 1) + fib($n - 2) }
print fib(25), "\n";
my (%count, @list);
my $seed = 1;
for my $i (1 .. 500000) {
    $seed = ($seed * 1103515245 + 12345) % 2147483648;
    $count{"k" . $seed % 5003} += $i;
    push @list, $seed;
}
print scalar(keys %count), " ", join(",", (sort { $count{$a} <=> $count{$b} || $a cmp $b } keys %count)[0 .. 4]), "\n";
@list = sort { $a <=> $b } @list;
print "$list[0] $list[-1]\n";
my $text = join " ", map { "word$_" } 1 .. 60000;
my $found = 0;
$found++ while $text =~ /\bw\w*?(\d)\1\b/g;
(my $other = $text) =~ s/(\d+)/<$1>/g;
print "$found ", length $other, "\n";
my $x = 0;
for (my $i = 0; $i < 8000000; $i++) { $x = ($x + $i * 7) & 0xffffff }
print "$x\n";
