# redis-server: its benchmark with clients on several connections, scripts, a snapshot by a forked child.
redis-server --port 0 --unixsocket /tmp/place/socket --dir /tmp/place --save '' >log 2>&1 &
server=$!
cli() { redis-cli -s /tmp/place/socket "$@"; }
until cli ping 2>/dev/null | grep -q PONG; do sleep 0.1; done
redis-benchmark -s /tmp/place/socket -n 3000 -c 20 -P 4 -r 100 -q -t ping_inline,set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset |
    tr '\r' '\n' | sed -n 's/: [0-9.]* requests per second.*//p'
cli flushall
cli eval 'for i = 1, 1000 do redis.call("rpush", "list", i * i % 1009); redis.call("hset", "hash", i, i * 7) end return 1' 0
cli sort list limit 0 5 desc
cli eval 'local s = 0; for _, v in ipairs(redis.call("hvals", "hash")) do s = s + v end return s' 0
cli setrange text 5 "and more"; cli getrange text 5 -1; cli pfadd some a b c d; cli pfcount some; cli object encoding hash
digest=$(cli debug digest)
cli bgsave
until cli info persistence | grep -q 'rdb_bgsave_in_progress:0'; do sleep 0.1; done
cli info persistence | grep -E 'rdb_last_bgsave_status|rdb_saves' | tr -d '\r'
cli shutdown nosave
wait $server
echo "ended with $?"
redis-server --port 0 --unixsocket /tmp/place/socket --dir /tmp/place >log2 2>&1 &
server=$!
until cli ping 2>/dev/null | grep -q PONG; do sleep 0.1; done
[ "$digest" = "$(cli debug digest)" ] && echo "the snapshot holds the same"
kill $server
wait $server
echo "ended with $?"
