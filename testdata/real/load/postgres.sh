# postgresql: its benchmark with four clients for $load seconds, beside vacuum and checkpoints; the sums agree, also after
# a crash and the recovery from it. None of it as root.
. servers/postgres.sh
cat > cluster.sh <<'X'
. ./cluster
make
start checkpoint_timeout=30s
pgbench -i -s 2 -q >fill.log 2>&1
echo "filled $?"
pgbench -c 4 -j 2 -T $1 >bench.log 2>&1
echo "pgbench $?"
grep -E 'failed transactions' bench.log
grep -E 'actually processed' bench.log >&2
sums() { psql -qAt -c 'select (select sum(abalance) from pgbench_accounts) = d and (select sum(bbalance) from pgbench_branches) = d
    and (select sum(tbalance) from pgbench_tellers) = d from (select sum(delta) d from pgbench_history) h'; }
sums
pg_ctl -D db -m immediate -w stop | tail -1
start checkpoint_timeout=30s
sums
end
X
as_nobody cluster.sh "$load"
