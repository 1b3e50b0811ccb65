# python3: processes, threads and signals.
cat > a.py <<'X'
import asyncio, concurrent.futures as cf, mmap, multiprocessing as mp, os, signal, subprocess, threading
def square(x): return x * x
def main():
    print(subprocess.run(['echo', 'hi'], capture_output=True), subprocess.run(['sh', '-c', 'kill -9 $$']).returncode)
    for bad in ('/nonexistent', '/etc/passwd', '/'):
        try: subprocess.run([bad])
        except OSError as e: print(type(e).__name__, e.errno)
    try: os.posix_spawn('/nope', ['x'], {})
    except OSError as e: print('posix_spawn', e.errno)
    with mp.get_context('fork').Pool(3) as pool: print(pool.map(square, range(20)))
    with cf.ThreadPoolExecutor(8) as pool: print(sum(pool.map(square, range(1000))))
    count, lock = [0], threading.Lock()
    def add():
        for _ in range(500):
            with lock: count[0] += 1
    threads = [threading.Thread(target=add) for _ in range(16)]
    for t in threads: t.start()
    for t in threads: t.join()
    print(count)
    async def talk():
        p = await asyncio.create_subprocess_exec('sort', stdin=-1, stdout=-1)
        print(await p.communicate(b'b\na\n'))
        loop = asyncio.get_running_loop()
        told = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, lambda: told.set_result('usr1'))
        os.kill(os.getpid(), signal.SIGUSR1)
        print(await told)
    asyncio.run(talk())
    shared = mmap.mmap(-1, 4096)
    pid = os.fork()
    if pid == 0:
        shared[:3] = b'kid'
        os._exit(3)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shared[:3])
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
    print(signal.sigwaitinfo([signal.SIGUSR2]).si_signo)
if __name__ == '__main__': main()
X
python3 a.py
