# node: worker threads, child processes, a storm of files, timers, a server, garbage, exceptions.
cat > a.js <<'X'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync, fork, spawn } = require('child_process');
const fs = require('fs'), net = require('net'), zlib = require('zlib'), crypto = require('crypto');
async function main() {
    const shared = new SharedArrayBuffer(8), cell = new Int32Array(shared);
    const sums = await Promise.all([1, 2, 3, 4].map(n => new Promise((done, failed) => {
        const worker = new Worker(__filename, { workerData: { n, shared } });
        worker.on('message', done).on('error', failed);
    })));
    console.log('workers', sums, Atomics.load(cell, 0));
    const names = [...Array(300).keys()].map(n => `files/${n}`);
    fs.mkdirSync('files');
    await Promise.all(names.map((name, n) => fs.promises.writeFile(name, 'x'.repeat(n))));
    const read = await Promise.all(names.map(name => fs.promises.readFile(name, 'utf8')));
    console.log('files', read.reduce((sum, text) => sum + text.length, 0), (await fs.promises.readdir('files')).length);
    await Promise.all(names.map(name => fs.promises.unlink(name)));
    console.log('child', execFileSync('echo', ['from', 'a child']).toString().trim());
    const child = fork(__filename, ['child']);
    console.log('fork', await new Promise(done => child.on('message', done).send(20)));
    const killed = spawn('sleep', ['100']);
    setTimeout(() => killed.kill('SIGTERM'), 20);
    console.log('killed by', await new Promise(done => killed.on('exit', (code, signal) => done(signal))));
    const server = net.createServer(socket => socket.pipe(socket)).listen('/tmp/place/echo');
    const echoed = await Promise.all([...Array(20).keys()].map(n => new Promise(done => {
        const client = net.connect('/tmp/place/echo', () => client.end('y'.repeat(1000 + n)));
        let size = 0;
        client.on('data', data => size += data.length).on('close', () => done(size));
    })));
    server.close();
    console.log('echo', echoed.reduce((a, b) => a + b));
    const packed = zlib.gzipSync(Buffer.alloc(200000, 'pattern'));
    console.log('zlib', zlib.gunzipSync(packed).length, crypto.createHash('sha256').update(packed.subarray(10)).digest('hex').length);
    let garbage = [];
    for (let i = 0; i < 300000; i++) { garbage.push({ i, text: 'n' + i }); if (garbage.length > 20000) garbage = []; }
    const deep = n => n ? 1 + deep(n - 1) : 0;
    let caught;
    try { (function endless() { endless(); })(); } catch (error) { caught = error.constructor.name; }
    console.log('caught', caught, deep(5000), [3, 1, 2].sort(), JSON.stringify({ a: [1.5, null], b: /x/.test('x') }));
}
if (!isMainThread) {
    let sum = 0;
    for (let i = 0; i < 1e6; i++) sum += i % (workerData.n + 1);
    Atomics.add(new Int32Array(workerData.shared), 0, workerData.n);
    parentPort.postMessage(sum);
} else if (process.argv[2] === 'child') {
    process.on('message', n => { process.send(n * 2); process.disconnect(); });
} else main().catch(error => { console.log(error); process.exit(1); });
X
node a.js
echo "ended with $?"
node -e 'process.kill(process.pid, "SIGUSR2")'
echo "ended with $?"
