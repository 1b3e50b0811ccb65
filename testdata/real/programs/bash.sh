# bash: job control, traps, coprocesses, pipelines, arithmetic.
cat > a.bash <<'X'
set -m
for i in {1..50}; do echo $((i*i)); done | sort -n | tail -3
f() { local a=("$@"); echo "${#a[@]} ${a[*]^^}"; }; f foo bar baz
declare -A h=([x]=1 [y]=2); for k in "${!h[@]}"; do echo $k=${h[$k]}; done | sort
sleep 0.2 & sleep 0.1 & wait; echo waited $?
(exit 7) & p=$!; wait $p; echo st=$?
sleep 100 & p=$!; kill $p; wait $p; echo killed $?
trap 'echo usr1' USR1; kill -USR1 $$; echo after
trap 'echo exit trap' EXIT
coproc cat; echo hello >&${COPROC[1]}; read -r l <&${COPROC[0]}; echo got $l; eval "exec ${COPROC[1]}>&-"; wait
diff <(seq 10) <(seq 11); echo $?
read -t 0.1 x < <(sleep 1); echo "rt $?"
printf '%s %q %05d %x %.3f\n' a 'b c' 42 255 3.14159
[[ abc123 =~ ([a-z]+)([0-9]+) ]] && echo ${BASH_REMATCH[@]}
s=0; for ((i=0;i<5000;i++)); do ((s+=i%7)); done; echo $s
echo ${BASH_VERSION} $(ulimit -n >/dev/null; echo ok)
bash -c 'kill -SEGV $$'; echo segv $?
bash -c 'ulimit -c 0; kill -ABRT $$'; echo abrt $?
timeout 0.2 sleep 5; echo to $?
for i in 1 2 3 4 5; do (for j in 1 2 3; do echo $i$j; done) & done | sort; wait
time_out=$(TIMEFORMAT=%0R; time true 2>&1); echo done
exec 3<>fifo_; echo abc >&3; cat fifo_
mkfifo ff; (cat ff > ff.out) & echo through fifo > ff; wait; cat ff.out
select x in a b; do echo $x; break; done <<< 1
printf 'x%.0s' {1..100}; echo
shopt -s extglob globstar; mkdir -p d/e/f; touch d/{1..5}.c d/e/f/z.c; echo **/*.c
X
bash a.bash
