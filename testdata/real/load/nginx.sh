# nginx: two workers under load from sixteen connections for $load seconds, which find every answer whole, though the
# configuration is read anew every few seconds; an orderly end.
mkdir -p root logs temp
cat > nginx.conf <<'X'
worker_processes 2;
pid /tmp/place/pid;
error_log /tmp/place/logs/error;
user root root;
events { worker_connections 200; }
http {
    access_log off;
    client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
    gzip on; gzip_min_length 100; gzip_types text/plain;
    server {
        listen unix:/tmp/place/socket;
        root /tmp/place/root;
        location /back/ { proxy_pass http://unix:/tmp/place/socket:/; }
        location /gone { return 410 "gone\n"; }
    }
}
X
seq 20000 > root/numbers.txt
head -c 300000 /dev/zero | tr '\0' x > root/large
nginx -p /tmp/place -c nginx.conf -e logs/start || cat logs/start
cat > load.py <<'X'
import gzip, hashlib, http.client, os, signal, socket, sys, threading, time
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect('/tmp/place/socket')
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
pid=$(cat pid)
nginx -p /tmp/place -c nginx.conf -e logs/start -s quit
while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
grep -E 'emerg|alert|crit' logs/error || echo 'no errors'
