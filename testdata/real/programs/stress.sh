# stress-ng: stressors of processes, threads, signals and memory, each for a moment, with its own checks. Those that
# trace a child of theirs (ptrace, vm-segv) are left out.
for stressor in affinity alarm brk clone context dup epoll eventfd exec fault fcntl fifo fork futex hrtimers inotify io-uring \
    itimer kill longjmp madvise membarrier memfd mlock mmap mmapaddr mmapfixed mprotect mremap msg mutex nanosleep pidfd \
    pipe poll prctl pthread rlimit seccomp sem sem-sysv shm sigabrt sigfd sigfpe signal signest sigq sigrt sigsegv \
    sigsuspend sock sockfd spawn stack switch timer timerfd udp userfaultfd vfork vm-rw wait zombie
do
    run() { timeout 60 stress-ng --$stressor 1 --${stressor}-ops 100 --timeout $1 --verify --temp-path /tmp/place >log 2>&1; }
    run 1
    status=$?
    # 3: on a busy machine, the second may be over before it has begun.
    [ $status != 3 ] || { run 30; status=$?; }
    # 4: this kernel or machine does not have what it takes.
    echo "$stressor $status"
    [ $status = 0 ] || grep -E 'fail|error' log >&2
done
