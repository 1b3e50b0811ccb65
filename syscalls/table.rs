//! THE table: every system call of both guests, and how it is answered.
//!
//! In: a guest and a number. Out: the [`Row`]. Numbers, up to those of Linux 6.18 (`listns` is 6.19's), are from
//! arch/x86/entry/syscalls/syscall_64.tbl and scripts/syscall.tbl of Linux; arguments from their manual pages.
//!
//! A row is: name, x86_64 number, aarch64 number (`-` where there is none), arguments, answer, note.
//! Arguments are one letter each, for `--strace`: `d` signed, `u` unsigned, `x` hexadecimal, `o` octal,
//! `p` path, `s` string. Answers:
//!
//! - `pass`: the host's call with the same words. What blocks, restarts as the host says.
//! - `paths [index follow]`: the same, with these arguments resolved as paths.
//! - `convert f`: the host's call behind a conversion.
//! - `emulate f`: Philae's own doing.
//! - `refuse E`: this error, always.

use crate::args::Handler;
use crate::call::{Call, Outcome};
use crate::errno::Errno;
use crate::path::{Follow, PathArg};
use crate::{exec, fs, futex, info, io_uring, ipc, limits, memory, net, poll, proc, process, seccomp, sigcall};
use philae_ir::Arch;
use std::fmt;

/// One system call.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name in the manual, without `sys_`.
    pub name: &'static str,
    /// Its number for x86_64 guests.
    pub x86_64: Option<u16>,
    /// Its number for aarch64 guests.
    pub aarch64: Option<u16>,
    /// One letter for each argument: `d` `u` `x` `o` numbers, `p` a path, `s` a string.
    pub args: &'static str,
    /// What kind of answer it gets.
    pub disposition: Disposition,
    /// What its users should know.
    pub note: &'static str,
    pub(crate) how: How,
}

/// What kind of answer a call gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// The host's call with the same arguments.
    Passed,
    /// The host's call, with paths, structs or flags converted.
    Converted,
    /// Philae's own doing.
    Emulated,
    /// An error, always.
    Refused,
}

/// How a call is answered.
#[derive(Clone, Copy)]
pub(crate) enum How {
    Pass,
    Paths(&'static [PathArg]),
    Call(fn(&mut Call<'_>) -> Result<Outcome, Errno>),
    Refuse(Errno),
}

impl fmt::Debug for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            How::Pass => "Pass",
            How::Paths(_) => "Paths",
            How::Call(_) => "Call",
            How::Refuse(_) => "Refuse",
        })
    }
}

impl Row {
    /// The number for this guest.
    pub const fn number(&self, arch: Arch) -> Option<u16> {
        match arch {
            Arch::Aarch64 => self.aarch64,
            Arch::X86_64 => self.x86_64,
        }
    }

    /// The number on the host, which is x86_64.
    pub(crate) fn host_number(&self) -> Option<i64> {
        self.x86_64.map(i64::from)
    }
}

/// The row of `number` for this guest.
pub fn find(arch: Arch, number: u64) -> Option<&'static Row> {
    let index = match arch {
        Arch::Aarch64 => &AARCH64_INDEX,
        Arch::X86_64 => &X86_64_INDEX,
    };
    let row = *index.get(usize::try_from(number).ok()?)?;
    TABLE.get(usize::from(row))
}

const NUMBERS: usize = 512;
const NONE: u16 = u16::MAX;
static X86_64_INDEX: [u16; NUMBERS] = index(Arch::X86_64);
static AARCH64_INDEX: [u16; NUMBERS] = index(Arch::Aarch64);

/// Which row has each number.
const fn index(arch: Arch) -> [u16; NUMBERS] {
    let mut index = [NONE; NUMBERS];
    let mut row = 0;
    while row < ROWS.len() {
        if let Some(number) = ROWS[row].number(arch) {
            assert!(index[number as usize] == NONE, "two rows have this number");
            index[number as usize] = row as u16;
        }
        row += 1;
    }
    index
}

macro_rules! number {
    (-) => {
        None
    };
    ($number:literal) => {
        Some($number)
    };
}

macro_rules! answer {
    (pass) => {
        (Disposition::Passed, How::Pass)
    };
    (paths [$($index:literal $follow:ident $(($arg:literal, $bit:literal))?),+]) => {
        (
            Disposition::Converted,
            How::Paths(&[$(PathArg { index: $index, follow: Follow::$follow $(($arg, $bit))? }),+]),
        )
    };
    (convert $family:ident :: $handler:ident) => {
        (Disposition::Converted, How::Call(|call| Handler::run(&$family::$handler, call)))
    };
    (emulate $family:ident :: $handler:ident) => {
        (Disposition::Emulated, How::Call(|call| Handler::run(&$family::$handler, call)))
    };
    (refuse $errno:ident) => {
        (Disposition::Refused, How::Refuse(Errno::$errno))
    };
}

macro_rules! rows {
    ($($name:literal $x86_64:tt $aarch64:tt $args:literal $kind:ident
       $([$($path:tt)+])? $($family:ident :: $handler:ident)? $(($errno:ident))? $note:literal;)*) => {
        &[$({
            let (disposition, how) = answer!($kind $([$($path)+])? $($family :: $handler)? $($errno)?);
            Row {
                name: $name,
                x86_64: number!($x86_64),
                aarch64: number!($aarch64),
                args: $args,
                disposition,
                note: $note,
                how,
            }
        }),*]
    };
}

/// Every system call, in the order of the x86_64 numbers.
pub static TABLE: &[Row] = ROWS;

#[rustfmt::skip]
const ROWS: &[Row] = rows! {
    "read"                       0   63 "dxu"    pass "";
    "write"                      1   64 "dxu"    pass "";
    "open"                       2    - "pxo"    convert fs::open "";
    "close"                      3   57 "d"      emulate fs::close "descriptors of Philae's own say EBADF";
    "stat"                       4    - "px"     convert fs::stat "";
    "fstat"                      5   80 "dx"     convert fs::fstat "";
    "lstat"                      6    - "px"     convert fs::lstat "";
    "poll"                       7    - "xud"    pass "";
    "lseek"                      8   62 "ddd"    pass "";
    "mmap"                       9  222 "xuxxdx" emulate memory::mmap "addresses chosen by Philae; never executable on the host";
    "mprotect"                  10  226 "xux"    emulate memory::mprotect "";
    "munmap"                    11  215 "xu"     emulate memory::munmap "";
    "brk"                       12  214 "x"      emulate memory::brk "";
    "rt_sigaction"              13  134 "dxxu"   emulate sigcall::rt_sigaction "";
    "rt_sigprocmask"            14  135 "dxxu"   emulate sigcall::rt_sigprocmask "";
    "rt_sigreturn"              15  139 ""       emulate sigcall::rt_sigreturn "";
    "ioctl"                     16   29 "dxx"    pass "";
    "pread64"                   17   67 "dxud"   pass "";
    "pwrite64"                  18   68 "dxud"   pass "";
    "readv"                     19   65 "dxu"    pass "";
    "writev"                    20   66 "dxu"    pass "";
    "access"                    21    - "pd"     paths [0 Always] "";
    "pipe"                      22    - "x"      pass "";
    "select"                    23    - "dxxxx"  pass "";
    "sched_yield"               24  124 ""       pass "";
    "mremap"                    25  216 "xuuxx"  emulate memory::mremap "";
    "msync"                     26  227 "xux"    pass "";
    "mincore"                   27  232 "xux"    pass "";
    "madvise"                   28  233 "xud"    emulate memory::madvise "";
    "shmget"                    29  194 "xux"    pass "";
    "shmat"                     30  196 "dxx"    emulate memory::shmat "addresses chosen by Philae";
    "shmctl"                    31  195 "ddx"    pass "";
    "dup"                       32   23 "d"      convert fs::dup "";
    "dup2"                      33    - "dd"     convert fs::dup2 "descriptors of Philae's own say EBADF";
    "pause"                     34    - ""       pass "";
    "nanosleep"                 35  101 "xx"     pass "";
    "getitimer"                 36  102 "dx"     pass "";
    "alarm"                     37    - "u"      pass "";
    "setitimer"                 38  103 "dxx"    pass "";
    "getpid"                    39  172 ""       pass "";
    "sendfile"                  40   71 "ddxu"   pass "";
    "socket"                    41  198 "ddd"    pass "";
    "connect"                   42  203 "dxu"    convert net::connect "AF_UNIX paths under the sysroot";
    "accept"                    43  202 "dxx"    convert net::accept "AF_UNIX paths without the sysroot";
    "sendto"                    44  206 "dxuxxu" convert net::sendto "AF_UNIX paths under the sysroot";
    "recvfrom"                  45  207 "dxuxxx" convert net::recvfrom "AF_UNIX paths without the sysroot";
    "sendmsg"                   46  211 "dxx"    convert net::sendmsg "AF_UNIX paths under the sysroot";
    "recvmsg"                   47  212 "dxx"    convert net::recvmsg "AF_UNIX paths without the sysroot";
    "shutdown"                  48  210 "dd"     pass "";
    "bind"                      49  200 "dxu"    convert net::bind "AF_UNIX paths under the sysroot";
    "listen"                    50  201 "dd"     pass "";
    "getsockname"               51  204 "dxx"    convert net::getsockname "AF_UNIX paths without the sysroot";
    "getpeername"               52  205 "dxx"    convert net::getpeername "AF_UNIX paths without the sysroot";
    "socketpair"                53  199 "dddx"   pass "";
    "setsockopt"                54  208 "dddxu"  pass "";
    "getsockopt"                55  209 "dddxx"  pass "";
    "clone"                     56  220 "xxxxx"  emulate process::clone "";
    "fork"                      57    - ""       emulate process::fork_call "";
    "vfork"                     58    - ""       emulate process::vfork "the child runs in the parent\'s memory";
    "execve"                    59  221 "pxx"    emulate exec::execve "";
    "exit"                      60   93 "d"      emulate process::exit "";
    "wait4"                     61  260 "dxxx"   pass "";
    "kill"                      62  129 "dd"     pass "";
    "uname"                     63  160 "x"      emulate info::uname "";
    "semget"                    64  190 "xdx"    pass "";
    "semop"                     65  193 "dxu"    pass "";
    "semctl"                    66  191 "dddx"   convert ipc::semctl "struct semid64_ds";
    "shmdt"                     67  197 "x"      emulate memory::shmdt "";
    "msgget"                    68  186 "xx"     pass "";
    "msgsnd"                    69  189 "dxux"   pass "";
    "msgrcv"                    70  188 "dxudx"  pass "";
    "msgctl"                    71  187 "ddx"    pass "";
    "fcntl"                     72   25 "ddx"    convert fs::fcntl "F_GETFL and F_SETFL flag bits";
    "flock"                     73   32 "dd"     pass "";
    "fsync"                     74   82 "d"      pass "";
    "fdatasync"                 75   83 "d"      pass "";
    "truncate"                  76   45 "pd"     convert fs::truncate "";
    "ftruncate"                 77   46 "dd"     pass "";
    "getdents"                  78    - "dxu"    convert proc::getdents "Philae's own threads and descriptors do not show";
    "getcwd"                    79   17 "xu"     pass "";
    "chdir"                     80   49 "p"      paths [0 Always] "";
    "fchdir"                    81   50 "d"      pass "";
    "rename"                    82    - "pp"     paths [0 Never, 1 Never] "";
    "mkdir"                     83    - "po"     paths [0 Never] "";
    "rmdir"                     84    - "p"      paths [0 Never] "";
    "creat"                     85    - "po"     convert fs::creat "";
    "link"                      86    - "pp"     paths [0 Never, 1 Never] "";
    "unlink"                    87    - "p"      paths [0 Never] "";
    "symlink"                   88    - "sp"     paths [1 Never] "";
    "readlink"                  89    - "pxu"    convert fs::readlink "/proc/self/exe is the guest's program";
    "chmod"                     90    - "po"     paths [0 Always] "";
    "fchmod"                    91   52 "do"     pass "";
    "chown"                     92    - "pdd"    paths [0 Always] "";
    "fchown"                    93   55 "ddd"    pass "";
    "lchown"                    94    - "pdd"    paths [0 Never] "";
    "umask"                     95  166 "o"      pass "";
    "gettimeofday"              96  169 "xx"     pass "";
    "getrlimit"                 97  163 "dx"     emulate limits::getrlimit "RLIMIT_AS, DATA and STACK are not the host\'s";
    "getrusage"                 98  165 "dx"     pass "";
    "sysinfo"                   99  179 "x"      pass "";
    "times"                    100  153 "x"      pass "";
    "ptrace"                   101  117 "ddxx"   refuse (ENOSYS) "one guest cannot see another's registers through the host's ptrace";
    "getuid"                   102  174 ""       pass "";
    "syslog"                   103  116 "dxd"    pass "";
    "getgid"                   104  176 ""       pass "";
    "setuid"                   105  146 "d"      pass "";
    "setgid"                   106  144 "d"      pass "";
    "geteuid"                  107  175 ""       pass "";
    "getegid"                  108  177 ""       pass "";
    "setpgid"                  109  154 "dd"     pass "";
    "getppid"                  110  173 ""       pass "";
    "getpgrp"                  111    - ""       pass "";
    "setsid"                   112  157 ""       pass "";
    "setreuid"                 113  145 "dd"     pass "";
    "setregid"                 114  143 "dd"     pass "";
    "getgroups"                115  158 "dx"     pass "";
    "setgroups"                116  159 "dx"     pass "";
    "setresuid"                117  147 "ddd"    pass "";
    "getresuid"                118  148 "xxx"    pass "";
    "setresgid"                119  149 "ddd"    pass "";
    "getresgid"                120  150 "xxx"    pass "";
    "getpgid"                  121  155 "d"      pass "";
    "setfsuid"                 122  151 "d"      pass "";
    "setfsgid"                 123  152 "d"      pass "";
    "getsid"                   124  156 "d"      pass "";
    "capget"                   125   90 "xx"     pass "";
    "capset"                   126   91 "xx"     pass "";
    "rt_sigpending"            127  136 "xu"     emulate sigcall::rt_sigpending "";
    "rt_sigtimedwait"          128  137 "xxxu"   pass "";
    "rt_sigqueueinfo"          129  138 "ddx"    pass "";
    "rt_sigsuspend"            130  133 "xu"     pass "";
    "sigaltstack"              131  132 "xx"     emulate sigcall::sigaltstack "";
    "utime"                    132    - "px"     paths [0 Always] "";
    "mknod"                    133    - "pox"    paths [0 Never] "";
    "uselib"                   134    - "p"      refuse (ENOSYS) "not in current kernels";
    "personality"              135   92 "x"      convert info::personality "flags that do not change memory";
    "ustat"                    136    - "xx"     pass "";
    "statfs"                   137   43 "px"     paths [0 Always] "";
    "fstatfs"                  138   44 "dx"     pass "";
    "sysfs"                    139    - "dxx"    pass "";
    "getpriority"              140  141 "dd"     pass "";
    "setpriority"              141  140 "ddd"    pass "";
    "sched_setparam"           142  118 "dx"     pass "";
    "sched_getparam"           143  121 "dx"     pass "";
    "sched_setscheduler"       144  119 "ddx"    pass "";
    "sched_getscheduler"       145  120 "d"      pass "";
    "sched_get_priority_max"   146  125 "d"      pass "";
    "sched_get_priority_min"   147  126 "d"      pass "";
    "sched_rr_get_interval"    148  127 "dx"     pass "";
    "mlock"                    149  228 "xu"     emulate memory::mlock "";
    "munlock"                  150  229 "xu"     emulate memory::mlock "";
    "mlockall"                 151  230 "x"      emulate memory::mlockall "the guest\'s memory, not Philae\'s";
    "munlockall"               152  231 ""       emulate memory::munlockall "";
    "vhangup"                  153   58 ""       pass "";
    "modify_ldt"               154    - "dxu"    refuse (ENOSYS) "segments other than the flat ones are not translated";
    "pivot_root"               155   41 "pp"     paths [0 Always, 1 Always] "";
    "_sysctl"                  156    - "x"      refuse (ENOSYS) "not in current kernels";
    "prctl"                    157  167 "dxxxx"  convert info::prctl "by option";
    "arch_prctl"               158    - "xx"     emulate info::arch_prctl "";
    "adjtimex"                 159  171 "x"      pass "";
    "setrlimit"                160  164 "dx"     emulate limits::setrlimit "RLIMIT_AS, DATA and STACK are not the host\'s";
    "chroot"                   161   51 "p"      paths [0 Always] "";
    "sync"                     162   81 ""       pass "";
    "acct"                     163   89 "p"      paths [0 Always] "";
    "settimeofday"             164  170 "xx"     pass "";
    "mount"                    165   40 "ppsxx"  paths [0 Always, 1 Always] "";
    "umount2"                  166   39 "px"     paths [0 Unless(1, 8)] "";
    "swapon"                   167  224 "px"     paths [0 Always] "";
    "swapoff"                  168  225 "p"      paths [0 Always] "";
    "reboot"                   169  142 "xxxx"   pass "";
    "sethostname"              170  161 "su"     pass "";
    "setdomainname"            171  162 "su"     pass "";
    "iopl"                     172    - "d"      refuse (ENOSYS) "port instructions are not translated";
    "ioperm"                   173    - "xud"    refuse (ENOSYS) "port instructions are not translated";
    "create_module"            174    - "sx"     refuse (ENOSYS) "not in current kernels";
    "init_module"              175  105 "xus"    pass "";
    "delete_module"            176  106 "sx"     pass "";
    "get_kernel_syms"          177    - "x"      refuse (ENOSYS) "not in current kernels";
    "query_module"             178    - "sdxux"  refuse (ENOSYS) "not in current kernels";
    "quotactl"                 179   60 "xpdx"   paths [1 Always] "";
    "nfsservctl"               180   42 "dxx"    refuse (ENOSYS) "not in current kernels";
    "getpmsg"                  181    - "xxxxx"  refuse (ENOSYS) "never implemented by Linux";
    "putpmsg"                  182    - "xxxxx"  refuse (ENOSYS) "never implemented by Linux";
    "afs_syscall"              183    - "xxxxx"  refuse (ENOSYS) "never implemented by Linux";
    "tuxcall"                  184    - "xxx"    refuse (ENOSYS) "never implemented by Linux";
    "security"                 185    - "xxx"    refuse (ENOSYS) "never implemented by Linux";
    "gettid"                   186  178 ""       pass "";
    "readahead"                187  213 "ddu"    pass "";
    "setxattr"                 188    5 "psxux"  paths [0 Always] "";
    "lsetxattr"                189    6 "psxux"  paths [0 Never] "";
    "fsetxattr"                190    7 "dsxux"  pass "";
    "getxattr"                 191    8 "psxu"   paths [0 Always] "";
    "lgetxattr"                192    9 "psxu"   paths [0 Never] "";
    "fgetxattr"                193   10 "dsxu"   pass "";
    "listxattr"                194   11 "pxu"    paths [0 Always] "";
    "llistxattr"               195   12 "pxu"    paths [0 Never] "";
    "flistxattr"               196   13 "dxu"    pass "";
    "removexattr"              197   14 "ps"     paths [0 Always] "";
    "lremovexattr"             198   15 "ps"     paths [0 Never] "";
    "fremovexattr"             199   16 "ds"     pass "";
    "tkill"                    200  130 "dd"     pass "";
    "time"                     201    - "x"      pass "";
    "futex"                    202   98 "xduxxu" pass "";
    "sched_setaffinity"        203  122 "dux"    pass "";
    "sched_getaffinity"        204  123 "dux"    pass "";
    "set_thread_area"          205    - "x"      refuse (ENOSYS) "32-bit programs only";
    "io_setup"                 206    0 "ux"     pass "";
    "io_destroy"               207    1 "x"      pass "";
    "io_getevents"             208    4 "xddxx"  pass "";
    "io_submit"                209    2 "xdx"    pass "";
    "io_cancel"                210    3 "xxx"    pass "";
    "get_thread_area"          211    - "x"      refuse (ENOSYS) "32-bit programs only";
    "lookup_dcookie"           212   18 "xxu"    refuse (ENOSYS) "not in current kernels";
    "epoll_create"             213    - "d"      pass "";
    "epoll_ctl_old"            214    - "dddx"   refuse (ENOSYS) "never implemented by Linux";
    "epoll_wait_old"           215    - "dxdd"   refuse (ENOSYS) "never implemented by Linux";
    "remap_file_pages"         216  234 "xuxux"  refuse (ENOSYS) "would leave the map of guest memory wrong; glibc does without";
    "getdents64"               217   61 "dxu"    convert proc::getdents64 "Philae's own threads and descriptors do not show";
    "set_tid_address"          218   96 "x"      emulate process::set_tid_address "";
    "restart_syscall"          219  128 ""       refuse (EINTR) "the kernel's own; no guest frame refers to it";
    "semtimedop"               220  192 "dxux"   pass "";
    "fadvise64"                221  223 "dddd"   pass "";
    "timer_create"             222  107 "dxx"    pass "";
    "timer_settime"            223  110 "ddxx"   pass "";
    "timer_gettime"            224  108 "dx"     pass "";
    "timer_getoverrun"         225  109 "d"      pass "";
    "timer_delete"             226  111 "d"      pass "";
    "clock_settime"            227  112 "dx"     pass "";
    "clock_gettime"            228  113 "dx"     pass "";
    "clock_getres"             229  114 "dx"     pass "";
    "clock_nanosleep"          230  115 "ddxx"   pass "";
    "exit_group"               231   94 "d"      emulate process::exit_group "";
    "epoll_wait"               232    - "dxdd"   convert poll::epoll_wait "struct epoll_event";
    "epoll_ctl"                233   21 "dddx"   convert poll::epoll_ctl "struct epoll_event";
    "tgkill"                   234  131 "ddd"    pass "";
    "utimes"                   235    - "px"     paths [0 Always] "";
    "vserver"                  236    - "xxx"    refuse (ENOSYS) "never implemented by Linux";
    "mbind"                    237  235 "xudxux" pass "";
    "set_mempolicy"            238  237 "dxu"    pass "";
    "get_mempolicy"            239  236 "xxuxx"  pass "";
    "mq_open"                  240  180 "sxox"   convert ipc::mq_open "open flags";
    "mq_unlink"                241  181 "s"      pass "";
    "mq_timedsend"             242  182 "dxuux"  pass "";
    "mq_timedreceive"          243  183 "dxuxx"  pass "";
    "mq_notify"                244  184 "dx"     pass "";
    "mq_getsetattr"            245  185 "dxx"    pass "";
    "kexec_load"               246  104 "xuxx"   pass "";
    "waitid"                   247   95 "ddxxx"  pass "";
    "add_key"                  248  217 "ssxud"  pass "";
    "request_key"              249  218 "sssd"   pass "";
    "keyctl"                   250  219 "dxxxx"  pass "";
    "ioprio_set"               251   30 "ddd"    pass "";
    "ioprio_get"               252   31 "dd"     pass "";
    "inotify_init"             253    - ""       pass "";
    "inotify_add_watch"        254   27 "dpx"    paths [1 Unless(2, 0x0200_0000)] "";
    "inotify_rm_watch"         255   28 "dd"     pass "";
    "migrate_pages"            256  238 "duxx"   pass "";
    "openat"                   257   56 "dpxo"   convert fs::openat "";
    "mkdirat"                  258   34 "dpo"    paths [1 Never] "";
    "mknodat"                  259   33 "dpox"   paths [1 Never] "";
    "fchownat"                 260   54 "dpddx"  paths [1 Unless(4, 0x100)] "";
    "futimesat"                261    - "dpx"    paths [1 Always] "";
    "newfstatat"               262   79 "dpxx"   convert fs::newfstatat "";
    "unlinkat"                 263   35 "dpx"    paths [1 Never] "";
    "renameat"                 264   38 "dpdp"   paths [1 Never, 3 Never] "";
    "linkat"                   265   37 "dpdpx"  paths [1 If(4, 0x400), 3 Never] "";
    "symlinkat"                266   36 "sdp"    paths [2 Never] "";
    "readlinkat"               267   78 "dpxu"   convert fs::readlinkat "/proc/self/exe is the guest's program";
    "fchmodat"                 268   53 "dpo"    paths [1 Always] "";
    "faccessat"                269   48 "dpd"    paths [1 Always] "";
    "pselect6"                 270   72 "dxxxxx" pass "";
    "ppoll"                    271   73 "xuxxu"  pass "";
    "unshare"                  272   97 "x"      pass "";
    "set_robust_list"          273   99 "xu"     emulate futex::set_robust_list "the kernel walks it too if the thread is killed";
    "get_robust_list"          274  100 "dxx"    pass "";
    "splice"                   275   76 "dxdxux" pass "";
    "tee"                      276   77 "ddux"   pass "";
    "sync_file_range"          277   84 "dddx"   pass "";
    "vmsplice"                 278   75 "dxux"   pass "";
    "move_pages"               279  239 "duxxxx" pass "";
    "utimensat"                280   88 "dpxx"   paths [1 Unless(3, 0x100)] "";
    "epoll_pwait"              281   22 "dxddxu" convert poll::epoll_pwait "struct epoll_event";
    "signalfd"                 282    - "dxu"    pass "";
    "timerfd_create"           283   85 "dx"     pass "";
    "eventfd"                  284    - "u"      pass "";
    "fallocate"                285   47 "dxdd"   pass "";
    "timerfd_settime"          286   86 "dxxx"   pass "";
    "timerfd_gettime"          287   87 "dx"     pass "";
    "accept4"                  288  242 "dxxx"   convert net::accept "AF_UNIX paths without the sysroot";
    "signalfd4"                289   74 "dxux"   pass "";
    "eventfd2"                 290   19 "ux"     pass "";
    "epoll_create1"            291   20 "x"      pass "";
    "dup3"                     292   24 "ddx"    convert fs::dup3 "descriptors of Philae's own say EBADF";
    "pipe2"                    293   59 "xx"     convert fs::pipe2 "flag bits";
    "inotify_init1"            294   26 "x"      pass "";
    "preadv"                   295   69 "dxudd"  pass "";
    "pwritev"                  296   70 "dxudd"  pass "";
    "rt_tgsigqueueinfo"        297  240 "dddx"   pass "";
    "perf_event_open"          298  241 "xdddx"  refuse (ENOSYS) "would count Philae's instructions, not the guest's";
    "recvmmsg"                 299  243 "dxuxx"  convert net::recvmmsg "AF_UNIX paths without the sysroot";
    "fanotify_init"            300  262 "xx"     convert fs::fanotify_init "flag bits";
    "fanotify_mark"            301  263 "dxxdp"  paths [4 Unless(1, 4)] "";
    "prlimit64"                302  261 "ddxx"   emulate limits::prlimit64 "as getrlimit, for the own process";
    "name_to_handle_at"        303  264 "dpxxx"  paths [1 If(4, 0x400)] "";
    "open_by_handle_at"        304  265 "dxx"    convert fs::open_by_handle_at "flag bits";
    "clock_adjtime"            305  266 "dx"     pass "";
    "syncfs"                   306  267 "d"      pass "";
    "sendmmsg"                 307  269 "dxux"   convert net::sendmmsg "AF_UNIX paths under the sysroot";
    "setns"                    308  268 "dx"     pass "";
    "getcpu"                   309  168 "xxx"    pass "";
    "process_vm_readv"         310  270 "dxuxux" pass "";
    "process_vm_writev"        311  271 "dxuxux" pass "";
    "kcmp"                     312  272 "dddxx"  pass "";
    "finit_module"             313  273 "dsx"    pass "";
    "sched_setattr"            314  274 "dxx"    pass "";
    "sched_getattr"            315  275 "dxux"   pass "";
    "renameat2"                316  276 "dpdpx"  paths [1 Never, 3 Never] "";
    "seccomp"                  317  277 "xxx"    emulate seccomp::seccomp "filters see the guest's numbers and machine; no listeners";
    "getrandom"                318  278 "xux"    pass "";
    "memfd_create"             319  279 "sx"     pass "";
    "kexec_file_load"          320  294 "ddusx"  pass "";
    "bpf"                      321  280 "dxu"    pass "";
    "execveat"                 322  281 "dpxxx"  emulate exec::execveat "";
    "userfaultfd"              323  282 "x"      pass "";
    "membarrier"               324  283 "dxd"    pass "";
    "mlock2"                   325  284 "xux"    emulate memory::mlock "";
    "copy_file_range"          326  285 "dxdxux" pass "";
    "preadv2"                  327  286 "dxuddx" pass "";
    "pwritev2"                 328  287 "dxuddx" pass "";
    "pkey_mprotect"            329  288 "xuxd"   emulate memory::pkey_mprotect "no protection keys";
    "pkey_alloc"               330  289 "xx"     refuse (ENOSPC) "as on processors without protection keys";
    "pkey_free"                331  290 "d"      refuse (EINVAL) "as on processors without protection keys";
    "statx"                    332  291 "dpxxx"  paths [1 Unless(2, 0x100)] "";
    "io_pgetevents"            333  292 "xddxxx" pass "";
    "rseq"                     334  293 "xuxx"   refuse (ENOSYS) "critical sections of guest code are not tracked";
    "uretprobe"                335    - ""       refuse (ENOSYS) "the kernel's own trampoline";
    "uprobe"                   336    - ""       refuse (ENOSYS) "the kernel's own trampoline";
    "pidfd_send_signal"        424  424 "ddxx"   pass "";
    "io_uring_setup"           425  425 "ux"     convert io_uring::io_uring_setup "IORING_SETUP_SQPOLL is EPERM";
    "io_uring_enter"           426  426 "duuxxu" convert io_uring::io_uring_enter "paths, flags, addresses and epoll events of entries";
    "io_uring_register"        427  427 "duxu"   convert io_uring::io_uring_register "rings cannot be resized";
    "open_tree"                428  428 "dpx"    paths [1 Unless(2, 0x100)] "";
    "move_mount"               429  429 "dpdpx"  paths [1 If(4, 1), 3 If(4, 0x10)] "";
    "fsopen"                   430  430 "sx"     pass "";
    "fsconfig"                 431  431 "ddsxd"  pass "";
    "fsmount"                  432  432 "dxx"    pass "";
    "fspick"                   433  433 "dpx"    paths [1 Unless(2, 2)] "";
    "pidfd_open"               434  434 "dx"     pass "";
    "clone3"                   435  435 "xu"     emulate process::clone3 "";
    "close_range"              436  436 "ddx"    emulate fs::close_range "descriptors of Philae's own are left out";
    "openat2"                  437  437 "dpxu"   convert fs::openat2 "";
    "pidfd_getfd"              438  438 "ddx"    pass "";
    "faccessat2"               439  439 "dpdx"   paths [1 Unless(3, 0x100)] "";
    "process_madvise"          440  440 "dxudx"  pass "";
    "epoll_pwait2"             441  441 "dxdxxu" convert poll::epoll_pwait2 "struct epoll_event";
    "mount_setattr"            442  442 "dpxxu"  paths [1 Unless(2, 0x100)] "";
    "quotactl_fd"              443  443 "dxdx"   pass "";
    "landlock_create_ruleset"  444  444 "xux"    pass "";
    "landlock_add_rule"        445  445 "ddxx"   pass "";
    "landlock_restrict_self"   446  446 "dx"     pass "";
    "memfd_secret"             447  447 "x"      pass "";
    "process_mrelease"         448  448 "dx"     pass "";
    "futex_waitv"              449  449 "xuxxd"  pass "";
    "set_mempolicy_home_node"  450  450 "xuxx"   pass "";
    "cachestat"                451  451 "dxxx"   pass "";
    "fchmodat2"                452  452 "dpox"   paths [1 Unless(3, 0x100)] "";
    "map_shadow_stack"         453  453 "xux"    refuse (ENOSYS) "no shadow stacks";
    "futex_wake"               454  454 "xxdx"   pass "";
    "futex_wait"               455  455 "xxxxxd" pass "";
    "futex_requeue"            456  456 "xxdd"   pass "";
    "statmount"                457  457 "xxux"   pass "";
    "listmount"                458  458 "xxux"   pass "";
    "lsm_get_self_attr"        459  459 "xxxx"   pass "";
    "lsm_set_self_attr"        460  460 "xxux"   pass "";
    "lsm_list_modules"         461  461 "xxx"    pass "";
    "mseal"                    462  462 "xux"    emulate memory::mseal "";
    "setxattrat"               463  463 "dpxsxu" paths [1 Unless(2, 0x100)] "";
    "getxattrat"               464  464 "dpxsxu" paths [1 Unless(2, 0x100)] "";
    "listxattrat"              465  465 "dpxxu"  paths [1 Unless(2, 0x100)] "";
    "removexattrat"            466  466 "dpxs"   paths [1 Unless(2, 0x100)] "";
    "open_tree_attr"           467  467 "dpxxu"  paths [1 Unless(2, 0x100)] "";
    "file_getattr"             468  468 "dpxux"  paths [1 Unless(4, 0x100)] "";
    "file_setattr"             469  469 "dpxux"  paths [1 Unless(4, 0x100)] "";
    "listns"                   470  470 "xxux"   pass "";
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers that 64-bit Linux has for each guest, up to 6.18's last.
    fn numbers(arch: Arch) -> Vec<u64> {
        let ranges: &[std::ops::RangeInclusive<u64>] = match arch {
            Arch::X86_64 => &[0..=336, 424..=470],
            Arch::Aarch64 => &[0..=243, 260..=294, 424..=470],
        };
        ranges.iter().cloned().flatten().collect()
    }

    #[test]
    fn every_number_has_its_row() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let wanted = numbers(arch);
            for number in 0..1000 {
                let row = find(arch, number);
                assert_eq!(row.is_some(), wanted.contains(&number), "{} {number}: {row:?}", arch.name());
                assert!(row.is_none_or(|row| row.number(arch).map(u64::from) == Some(number)));
            }
        }
    }

    #[test]
    fn names_are_unique_and_agree_with_the_host() {
        let mut names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
        for (name, number) in
            [("read", libc::SYS_read), ("openat2", libc::SYS_openat2), ("futex_waitv", libc::SYS_futex_waitv)]
        {
            let row = TABLE.iter().find(|row| row.name == name).unwrap();
            assert_eq!(row.host_number(), Some(number));
        }
    }

    #[test]
    fn arguments_and_paths_fit() {
        for row in TABLE {
            assert!(row.args.len() <= 6 && row.args.bytes().all(|letter| b"duxops".contains(&letter)), "{}", row.name);
            if let How::Paths(paths) = row.how {
                for path in paths {
                    let letter = row.args.as_bytes()[path.index as usize];
                    assert!(letter == b'p', "{}", row.name);
                }
            }
        }
    }
}
