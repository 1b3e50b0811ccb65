# What busybox does with a terminal, in an empty directory: busybox sh terminal.sh, under a pty.
stty rows 24 cols 80
stty -a
stty -echo
stty | grep -c echo
stty sane
tty >/dev/null && echo a terminal
printf 'one\ntwo\nthree\n' >file
TERM=vt100
export TERM
vi -c q file
vi -c '%s/two/2/' -c wq file
cat file
clear
reset >/dev/null
sleep 5 &
jobs | wc -l
kill %1
wait
echo "status $?"
more file
exit 5
