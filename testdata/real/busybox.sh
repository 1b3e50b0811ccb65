# What a user does with busybox, in an empty directory: busybox sh busybox.sh PATH-OF-BUSYBOX
# Prints only what is the same every time. Applets are called by their names, which the shell finds in busybox itself,
# and through $BB, which is a program like any other.
BB=$1
umask 022
LC_ALL=C
export LC_ALL

section() { echo "== $*"; }

section text
i=0
while [ $i -lt 200 ]; do
    echo "line $i $((i * 7919 % 211)) $((i % 3))"
    i=$((i + 1))
done >lines
wc lines
sort -k3n lines | head -n 5
sort -rn -k3 lines | sed -n '1,5p;$p'
cut -d ' ' -f 4 lines | sort | uniq -c
awk '{ sum[$4] += $3; n++ } END { for (i = 0; i < 3; i++) print i, sum[i]; printf "%.3f %d\n", sum[0] / n, n }' lines
awk 'BEGIN { x = 1; for (i = 0; i < 20; i++) x = x * 1.37 + i / 7; print x, int(x / 3), x % 7, 1e300 * 1e10, -x; print substr("translator", 3, 5), toupper("abc"), match("foobar", /o+b/) }'
sed -e 's/line \([0-9]*\)/<\1>/' -e '/0$/d' lines | tail -n 4
grep -c '7 [0-2]$' lines
grep -E '^line (1|2)0+ ' lines
grep -v line lines
echo "grep status $?"
tr a-z A-Z <lines | tail -n 2
seq 1 5 | tac | paste -s -d+ - | bc 2>/dev/null || seq 1 5 | tac | tr '\n' ' '
echo
printf '%s|%5d|%-6s|%x|%o\n' text 42 left 255 8
expr 6 \* 7
head -c 20 lines | od -c
head -c 32 lines | hexdump -C
rev lines | tail -n 1
fold -w 10 lines | head -n 3
nl lines | tail -n 1
diff lines lines && echo same
sed 's/line 5 /changed /' lines >other
diff lines other
echo "diff status $?"
cmp lines other
comm -3 lines lines | wc -l

section calculator
dc -e '2 3 + p 10 4 - p 7 6 * p 3 k 22 7 / p' 2>/dev/null || echo '2 3 + p 10 4 - p 7 6 * p' | dc
echo $((1 << 40)) $((-7 / 2)) $((-7 % 3)) $((0x7f ^ 5)) $((3 > 2 && 1))

section files
mkdir -p tree/a/b tree/c
echo one >tree/a/1
echo two >tree/a/b/2
ln -s ../a/1 tree/c/link
ln tree/a/1 tree/c/hard
chmod 640 tree/a/1
touch -d '2020-01-02 03:04:05' tree/a/b/2
find tree | sort
find tree -type f -name '[0-9]' -exec cat '{}' ';'
find tree -type l -print
find tree -newer tree/a/b/2 -type f | sort
stat -c '%n %s %a %F %h' tree/a/1 tree/a/b/2 tree/c/link
TZ=UTC0 stat -c %y tree/a/b/2
readlink tree/c/link
cat tree/c/link
ls tree/a
ls -1F tree
test -x tree && test ! -e nothing && echo tested
cp -r tree copy
mv copy/a copy/moved
rm -r copy/c
find copy | sort
du -a copy | wc -l
basename /x/y.z .z
dirname /x/y.z
dd if=lines of=part bs=16 count=3 skip=2 2>/dev/null
cat part
echo
cat nothing
echo "cat status $?"
rmdir tree
echo "rmdir status $?"

section archives
tar cf all.tar tree
tar tf all.tar | sort
gzip -c all.tar >all.tar.gz
bzip2 -c all.tar >all.tar.bz2
gunzip -c all.tar.gz | cmp - all.tar && echo gzip
bunzip2 -c all.tar.bz2 | cmp - all.tar && echo bzip2
mkdir out
tar xzf all.tar.gz -C out
find out -type f | sort | xargs cat
xz -dc nothing 2>/dev/null
echo "xz status $?"
i=0
while [ $i -lt 40 ]; do
    cat lines
    i=$((i + 1))
done >big
wc -c <big
gzip <big >big.gz
gzip -dc big.gz | md5sum
bzip2 <big | bzip2 -dc | sha256sum
cat big | tee second | sha1sum
cmp big second && echo tee
echo text | cpio -o -H newc 2>/dev/null | wc -c
uuencode name <part | uudecode -o decoded && cmp decoded part && echo uuencode
base64 part | base64 -d | cmp - part && echo base64

section sums
md5sum lines big
sha1sum lines
sha256sum lines
sha512sum lines | cut -c 1-40
cksum lines
md5sum lines >sums
md5sum -c sums

section shell
set -- a 'b c' d
echo $# "$2" "${3:-none}" "${4:-none}"
name=translator.tar.gz
echo ${name%.*} ${name%%.*} ${name#*.} ${#name}
case $name in *.gz) echo compressed ;; *) echo plain ;; esac
f() { local x=$1; [ $x -le 1 ] && echo 1 && return; echo $((x * $(f $((x - 1))))); }
f 10
for word in 3 1 2; do echo $word; done | sort | tr '\n' ,
echo
cat <<END
here $name $((2 + 3)) $(echo nested $(echo deeper))
END
(exit 3)
echo "subshell $?"
false || echo or
true && echo and
! true
echo "not $?"
trap 'echo trapped' EXIT
trap 'echo usr1' USR1
kill -USR1 $$
trap - EXIT
eval 'echo evaluated $1'
read -r first rest <lines
echo "$first|$rest"
set -o pipefail
false | true
echo "pipefail $?"
nosuchcommand
echo "missing $?"
./lines
echo "not executable $?"
echo 'echo script $0 $*' >script.sh
sh script.sh x y
printf '#!%s sh\necho by its first line: $*\n' "$BB" >runs
chmod +x runs
./runs p q
$BB echo through the program
$BB sh -c 'echo $0 $1; exit 9' zero one
echo "status $?"
env -i A=1 B=2 $BB env | sort
env A=3 $BB sh -c 'echo $A'
which sh >/dev/null
echo quoted \"text\" \$HOME 'it'\''s'
time -p true 2>/dev/null
timeout 1 sleep 10
echo "timeout $?"
xargs -n 2 echo <<END
1 2 3 4 5
END
yes | head -n 2
seq 100000 | tail -n 1
seq 1000 | shuf | sort -n | md5sum
id -u >/dev/null && echo id
uname -s
[ "$(pwd)" = "$(cd . && pwd -P)" ] && echo pwd
usleep 1000
date -u -d @1000000000 '+%Y-%m-%d %H:%M:%S'
cal 2 2024 | tr -s ' '

section jobs
# ash names the signal only if the child is still alive when it starts to wait.
sleep 5 &
kill $!
wait $! 2>/dev/null
echo "killed $?"
sleep 5 &
kill -9 $!
wait $! 2>/dev/null
echo "killed hard $?"
(exit 7) &
wait $!
echo "waited $?"
{ sleep 0.2; echo later; } &
echo first
wait
mkfifo fifo
cat lines >fifo &
wc -l <fifo
wait
for i in 1 2 3 4 5 6 7 8; do (echo $i; exit $i) & done | sort
$BB sh -c 'kill -TERM $$'
echo "own TERM $?"
$BB sh -c 'kill -SEGV $$' 2>/dev/null
echo "own SEGV $?"
$BB sh -c 'trap "" TERM; kill -TERM $$; echo survived'
(trap 'echo got it; exit 4' TERM; $BB sh -c "kill -TERM \$PPID"; sleep 1)
echo "handler $?"
yes | head -n 1 >/dev/null
echo "pipe $?"
echo end | cat | cat | cat | cat | cat

section done
exit 42
