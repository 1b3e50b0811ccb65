# nginx: two workers under load from many threads, configuration read anew meanwhile, an orderly end.
mkdir -p root logs temp
cat > nginx.conf <<'X'
worker_processes 2;
pid /tmp/place/pid;
error_log /tmp/place/logs/error;
user root root;
events { worker_connections 200; }
http {
    access_log /tmp/place/logs/access;
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
import gzip, hashlib, http.client, os, signal, socket, threading
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect('/tmp/place/socket')
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
pid=$(cat pid)
nginx -p /tmp/place -c nginx.conf -e logs/start -s quit
while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
grep -c ' 410 ' logs/access
grep -E 'emerg|alert|crit' logs/error || echo 'no errors'
