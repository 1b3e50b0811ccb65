# postgresql: its benchmark with four clients for $load seconds, beside vacuum and checkpoints; the sums agree, also after
# a crash and the recovery from it. None of it as root.
cat > as-nobody.py <<'X'
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.execvp(sys.argv[1], sys.argv[1:])
X
chmod 777 /tmp/place
cat > cluster.sh <<'X'
initdb -D db -A trust -U postgres --no-sync >init.log 2>&1
echo "initdb $?"
start() { pg_ctl -D db -o "-k /tmp/place -c listen_addresses='' -c fsync=off -c checkpoint_timeout=30s" -w -t 150 -l server.log start | tail -1; }
start
export PGHOST=/tmp/place PGUSER=postgres
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
start
sums
pg_ctl -D db -m fast -w stop | tail -1
grep -E 'PANIC|crash|terminated by' server.log
X
python3 as-nobody.py sh cluster.sh "$load"
