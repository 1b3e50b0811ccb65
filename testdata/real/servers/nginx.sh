# What is done to nginx here: two workers begin in /tmp/place, its access log in $1, with what they hand out; clients
# connect by what is in connection.py; an orderly end.
begin() {
    mkdir -p root logs temp
    cat > nginx.conf <<X
worker_processes 2;
pid /tmp/place/pid;
error_log /tmp/place/logs/error;
user root root;
events { worker_connections 200; }
http {
    access_log $1;
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
}
cat > connection.py <<'X'
import http.client, socket
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect('/tmp/place/socket')
X
end() {
    pid=$(cat pid)
    nginx -p /tmp/place -c nginx.conf -e logs/start -s quit
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    grep -E 'emerg|alert|crit' logs/error || echo 'no errors'
}
