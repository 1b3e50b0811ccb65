# redis-server: its benchmark again and again for $load seconds, with snapshots by forked children and an append-only
# file rewritten meanwhile; what it holds is there again after a restart.
redis-server --port 0 --unixsocket /tmp/place/socket --dir /tmp/place --save '' --appendonly yes --appendfsync no >log 2>&1 &
server=$!
cli() { redis-cli -s /tmp/place/socket "$@"; }
until cli ping 2>/dev/null | grep -q PONG; do sleep 0.1; done
end=$(($(date +%s) + load))
failed=0 rounds=0
while [ "$(date +%s)" -lt $end ]; do
    redis-benchmark -s /tmp/place/socket -n 5000 -c 50 -P 8 -r 1000 -d 100 -q >out 2>&1 || failed=$((failed + 1))
    ! grep -iE 'error|refused|closed' out || failed=$((failed + 1))
    cli bgsave >/dev/null
    [ $((rounds % 3)) != 0 ] || cli bgrewriteaof >/dev/null
    rounds=$((rounds + 1))
    cli eval 'redis.call("set", "rounds", ARGV[1]) return 1' 0 $rounds >/dev/null || failed=$((failed + 1))
done
echo "rounds of $rounds" >&2
[ "$(cli get rounds)" = $rounds ] && echo "$failed failed"
while cli info persistence | grep -qE '(rdb_bgsave|aof_rewrite)_in_progress:1'; do sleep 0.1; done
cli info persistence | grep -E 'rdb_last_bgsave_status|aof_last_bgrewrite_status|aof_last_write_status' | tr -d '\r'
cli info clients | grep -E 'blocked_clients' | tr -d '\r'
digest=$(cli debug digest)
cli shutdown
wait $server
echo "ended with $?"
redis-server --port 0 --unixsocket /tmp/place/socket --dir /tmp/place --save '' --appendonly yes >log2 2>&1 &
server=$!
until cli ping 2>/dev/null | grep -q PONG; do sleep 0.1; done
[ "$digest" = "$(cli debug digest)" ] && echo 'it holds the same'
cli shutdown
wait $server
echo "ended with $?"
