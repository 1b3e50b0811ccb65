# ripgrep, a large threaded Rust program: a tree of files searched by several threads.
mkdir -p tree
i=0
while [ $i -lt 24 ]; do
    mkdir -p tree/$((i % 7))
    seq $i 37 9000 | sed 's/7/seven /g' > tree/$((i % 7))/$i.txt
    i=$((i + 1))
done
for threads in 1 2 8; do
    rg --threads $threads -c 'seven [0-9]*1' tree | sort | md5sum
    rg --threads $threads -n --no-heading '(?i)SEVEN \d{2,}$' tree | sort | md5sum
    rg --threads $threads --files tree | sort | wc -l
done
rg --sort path -o -w '8\d+' tree/3 | tail -3
rg --json 'seven seven' tree/1/1.txt | head -c 300 | cut -d'"' -f1-8
rg -q nothing tree
echo "ended with $?"
