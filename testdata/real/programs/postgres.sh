# postgresql: a cluster made, filled, queried and written by several clients at once, stopped; none of it as root.
. servers/postgres.sh
cat > cluster.sh <<'X'
. ./cluster
make
start autovacuum=off
psql -qAt <<'Q'
create table t as select i, md5(i::text) m, i * 0.37 x from generate_series(1, 20000) i;
create index on t(m);
create unique index on t(i);
analyze t;
select count(*), min(m), max(m), sum(x), round(avg(sqrt(x))::numeric, 6) from t;
select t.i from t join t u on t.m = u.m where t.i % 5000 = 0 order by 1;
with recursive f(a, b) as (values (0::numeric, 1::numeric) union all select b, a + b from f where b < 1e30) select max(b) from f;
select i % 7 as k, count(*), string_agg(substr(m, 1, 1), '' order by i) filter (where i < 50) from t group by 1 order by 1;
do $$ begin for n in 1..50 loop insert into t values (100000 + n, 'n', n); end loop; raise exception 'taken back'; exception when raise_exception then null; end $$;
select count(*) from t where i > 100000;
select 1 / 0;
Q
for client in 1 2 3 4; do
    (for n in 1 2 3 4 5; do echo "update t set x = x + 1 where i = $n;"; done | psql -qAt) &
done
wait
psql -qAt -c 'select sum(x) from t where i <= 5'
end
X
as_nobody cluster.sh
