# nginx: two workers under load from sixteen connections for $load seconds, which find every answer whole, though the
# configuration is read anew every few seconds; an orderly end.
. servers/nginx.sh
begin off
cat > load.py <<'X'
import gzip, hashlib, http.client, os, signal, sys, threading, time
from connection import Connection
seen, counts, lock, end = set(), [0] * 16, threading.Lock(), time.time() + int(sys.argv[1])
def client(number):
    connection, turn, refused = Connection('localhost'), 0, 0
    while time.time() < end or turn < 10:
        path = ('/numbers.txt', '/back/numbers.txt', '/large', '/gone', '/none')[(number + turn) % 5]
        try:
            connection.request('GET', path, headers={'Accept-Encoding': 'gzip'} if turn % 2 else {})
            answer = connection.getresponse()
            body = answer.read()
            refused = 0
        except TimeoutError:
            with lock: seen.add((path, 'no answer', ''))
            return
        except (ConnectionError, http.client.HTTPException) as error:
            # A worker that goes closes what is idle.
            connection, refused = Connection('localhost'), refused + 1
            if refused > 20:
                with lock: seen.add((path, 'refused', str(error)))
                return
            continue
        if answer.getheader('Content-Encoding') == 'gzip': body = gzip.decompress(body)
        if answer.status == 404: body = b''
        with lock: seen.add((path, str(answer.status), hashlib.md5(body).hexdigest()))
        turn, counts[number] = turn + 1, counts[number] + 1
threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
for thread in threads: thread.start()
while time.time() < end:
    time.sleep(3)
    os.kill(int(open('pid').read()), signal.SIGHUP)
for thread in threads: thread.join()
for key in sorted(seen): print(*key)
print('everybody was served', min(counts) >= 10)
print(sum(counts), 'answers', file=sys.stderr)
X
python3 load.py "$load"
end
