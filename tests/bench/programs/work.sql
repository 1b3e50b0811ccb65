create table t (id integer primary key, name text, value integer);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
insert into t select i, 'name' || (i * 7919 % 10007), i * 31 % 1009 from n;
create index by_name on t (name);
select count(*), sum(value) from t where name like '%77%';
select name, count(*), sum(value) from t group by name order by 3 desc, 1 limit 5;
select count(*) from t a join t b on a.name = b.name where a.value < 40 and b.value > 900;
update t set value = value * 2 where id % 3 = 0;
delete from t where name > 'name9';
select count(*), sum(length(name)), total(value) from t;
select sum(value * 1.5) from t where exists (select 1 from t u where u.name = t.name and u.id < t.id);
