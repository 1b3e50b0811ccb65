# openssl: every digest and cipher; signatures.
seq 20000 > n
for d in md5 sha1 sha224 sha256 sha384 sha512 sha512-224 sha512-256 sha3-224 sha3-256 sha3-384 sha3-512 shake128 shake256 blake2b512 blake2s256 sm3 ripemd160 md5-sha1; do openssl dgst -$d n 2>&1; done
for c in $(openssl enc -list | tr ' ' '\n' | sed -n 's/^-\(.*-.*\|chacha20\|rc4\)$/\1/p' | grep -v -e wrap); do
  echo $c; openssl enc -$c -K 00112233445566778899aabbccddeeff -iv 000102030405060708090a0b0c0d0e0f -in n 2>/dev/null | md5sum
done
openssl ecparam -name prime256v1 -genkey -noout -out k.pem; openssl ec -in k.pem -pubout -out p.pem 2>/dev/null
openssl dgst -sha256 -sign k.pem -out sig n; openssl dgst -sha256 -verify p.pem -signature sig n
