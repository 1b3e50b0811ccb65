# nginx: two workers under load from many threads, configuration read anew meanwhile, an orderly end.
. servers/nginx.sh
begin /tmp/place/logs/access
cat > load.py <<'X'
import gzip, hashlib, http.client, os, signal, threading
from connection import Connection
seen, lock = {}, threading.Lock()
def client(number):
    connection = Connection('localhost')
    for turn in range(30):
        path = ('/numbers.txt', '/back/numbers.txt', '/large', '/gone', '/none')[(number + turn) % 5]
        headers = {'Accept-Encoding': 'gzip'} if turn % 2 else {}
        while True:
            try:
                connection.request('GET', path, headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                break
            except (ConnectionError, http.client.HTTPException):
                # A worker that goes closes what is idle.
                connection = Connection('localhost')
        if answer.getheader('Content-Encoding') == 'gzip': body = gzip.decompress(body)
        if answer.status == 404: body = b''
        with lock: seen.setdefault((path, answer.status, hashlib.md5(body).hexdigest()), []).append(number)
threads = [threading.Thread(target=client, args=(number,)) for number in range(12)]
for thread in threads: thread.start()
os.kill(int(open('pid').read()), signal.SIGHUP)
for thread in threads: thread.join()
for key in sorted(seen): print(*key, len(seen[key]))
X
python3 load.py
end
grep -c ' 410 ' logs/access
