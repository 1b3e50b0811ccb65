# Blocks, hashes, strings, sorting, integers, floats.
def fib(n) = n < 2 ? n : fib(n - 1) + fib(n - 2)
puts fib(28)
seed = 1
counts = Hash.new(0)
list = []
500_000.times do |i|
  seed = (seed * 1103515245 + 12345) % 2147483648
  counts["k#{seed % 4999}"] += i
  list << seed
end
puts counts.size, counts.min_by { |key, value| [value, key] }.join(" ")
puts list.sort.each_slice(1000).map(&:sum).max
text = (1..200_000).map { |i| "word#{i}" }.join(" ")
puts text.scan(/\bw\w*?(\d)\1\b/).size, text.gsub(/\d+/) { |d| d.reverse }.sum
x = 0.5
5_000_000.times { x = 3.7 * x * (1 - x) }
puts format("%.12f", x)
