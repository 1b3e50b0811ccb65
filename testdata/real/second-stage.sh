# The second stage of a minimal Debian system: every package is configured by its own maintainer scripts. Then what it
# came to: each package's version and state, what dpkg finds wrong, and each file of /etc with its rights, owners and
# contents, but for those that are named after the machine or hold the time, and for the machine's name in them.
/debootstrap/debootstrap --second-stage >&2 || exit 1
dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n'
dpkg --audit
cd /etc || exit 1
find . -not -name '*-linux-gnu.conf' | LC_ALL=C sort | xargs stat -c '%A %U %G %N'
find . -type f -not -name '*-linux-gnu.conf' -not -path ./ld.so.cache -not -path './shadow*' -not -path ./machine-id |
    LC_ALL=C sort | while read -r file; do
    echo "$(sed "s/$(uname -m)/MACHINE/g" "$file" | md5sum) $file"
done
