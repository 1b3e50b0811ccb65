# gzip, bzip2, xz, zstd, lz4: every few levels and kinds of data, what comes out, and back again; what is damaged.
seq 30000 > numbers
head -c 100000 /dev/zero > zeroes
openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff -iv 00 -in numbers -out noise 2>/dev/null
head -c 120000 /bin/sh > code 2>/dev/null; openssl dgst -sha256 -binary numbers > short; : > empty
for file in numbers zeroes noise short empty; do
    for tool in "gzip -n1" "gzip -n6" "gzip -n9" "bzip2 -1" "bzip2 -9" "xz -0" "xz -6" "xz --format=lzma -3" \
        "xz --x86 --lzma2=preset=1" "xz --arm64 --lzma2" "zstd -q -1" "zstd -q -9" "zstd -q -19" "zstd -q --fast=3" \
        "zstd -q --long=24 -3 --check" "lz4 -q -1" "lz4 -q -9" "lz4 -q -BD -B4"; do
        $tool -c < $file > packed 2>error || { echo "$tool $file: $? $(head -1 error)"; continue; }
        echo "$tool $file $(wc -c < packed) $(sha256sum < packed | cut -c1-16)"
        ${tool%% *} -dc $(case $tool in *long*) echo --long=24;; esac) < packed | cmp - $file
    done
done
xz -T2 -3 --block-size=100000 -c numbers | sha256sum
zstd -q -T2 -5 -c numbers | zstd -q -dc | cmp - numbers
zstd -q --train numbers noise code -B200 --maxdict=4096 -o dictionary 2>/dev/null; zstd -q -D dictionary -c short | zstd -q -D dictionary -dc | cmp - short
tar cf - --sort=name --mtime=@0 --owner=0 --group=0 --format=ustar numbers short | gzip -n | sha256sum
for tool in gzip bzip2 xz zstd lz4; do
    $tool -c < numbers > packed
    { head -c 1000 packed; printf 'x'; tail -c +1002 packed; } > damaged
    $tool -t < damaged >/dev/null 2>&1; echo "$tool damaged: $?"
    head -c 2000 packed | $tool -dc 2>/dev/null | head -c 500 | sha256sum
done
