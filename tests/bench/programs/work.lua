-- Tables, closures, strings, floats, integers; "long" does more.
local rounds = (arg and arg[1] == "long") and 30 or 8
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
local total = 0
for round = 1, rounds do
  total = total + fib(27)
  local sieve = {}
  for i = 2, 500000 do sieve[i] = true end
  for i = 2, 707 do
    if sieve[i] then for j = i * i, 500000, i do sieve[j] = false end end
  end
  for i = 2, 500000 do if sieve[i] then total = total + 1 end end
  local seed, counts = 1, {}
  for i = 1, 200000 do
    seed = (seed * 16807) % 2147483647
    local key = "k" .. seed % 997
    counts[key] = (counts[key] or 0) + 1
  end
  for i = 0, 996 do total = total + (counts["k" .. i] or 0) % 7 end
  local x = 0.5
  for i = 1, 2000000 do x = 3.7 * x * (1 - x) end
  total = total + math.floor(x * 1000)
  local parts = {}
  for i = 1, 50000 do parts[i] = string.format("%05d", i % 313) end
  local text = table.concat(parts, " ")
  for word in text:gmatch("%d+7") do total = total + #word end
end
print(string.format("%d", total))
