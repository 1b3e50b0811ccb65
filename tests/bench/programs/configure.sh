# A configure script's work without its questions: 1,000 short processes, one after another. $1 is what a program
# needs in front of it here, or nothing.
run=${1:-}
i=0
while [ $i -lt 100 ]; do
    $run /usr/bin/true
    name=$($run /usr/bin/basename /usr/include/header$i.h .h)
    echo "int $name(void) { return $i; }" >/tmp/conftest.c
    $run /usr/bin/cat /tmp/conftest.c >/tmp/conftest.out
    $run /usr/bin/grep -q "return $i" /tmp/conftest.out || echo "no $i"
    $run /usr/bin/sed -e 's/int/long/' -e 's/return/(void)/' /tmp/conftest.c >/tmp/conftest.out
    n=$($run /usr/bin/expr $i + 1)
    $run /usr/bin/tr a-z A-Z </tmp/conftest.out >/tmp/conftest.up
    $run /usr/bin/cut -c 1-3 /tmp/conftest.up >/tmp/conftest.out
    $run /usr/bin/dash -c "exit 0"
    $run /usr/bin/rm -f /tmp/conftest.c /tmp/conftest.out /tmp/conftest.up
    i=$n
done
echo $i
