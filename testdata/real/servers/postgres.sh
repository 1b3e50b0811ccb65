# What is done to postgresql here, none of it as root: `as_nobody SCRIPT ARGUMENT` runs a script that can make a cluster,
# start it with a setting more, and end it.
chmod 777 /tmp/place
cat > cluster <<'X'
export PGHOST=/tmp/place PGUSER=postgres
make() {
    initdb -D db -A trust -U postgres --no-sync >init.log 2>&1
    echo "initdb $?"
}
start() { pg_ctl -D db -o "-k /tmp/place -c listen_addresses='' -c fsync=off -c $1" -w -t 150 -l server.log start | tail -1; }
end() {
    pg_ctl -D db -m fast -w stop | tail -1
    grep -E 'PANIC|crash|terminated by' server.log
}
X
cat > as-nobody.py <<'X'
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.execvp(sys.argv[1], sys.argv[1:])
X
as_nobody() { python3 as-nobody.py sh "$@"; }
