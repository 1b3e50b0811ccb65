//! Error numbers: the guest's business as a value. The numbers are the same on both guests and on the hosts.

use std::ffi::CStr;
use std::fmt;

/// An error number as errno(3) lists it, or one of the kernel's internal restart codes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// The host kernel would restart the call after a signal (its ERESTARTSYS): the guest sees EINTR only if a
    /// handler without SA_RESTART runs.
    pub const RESTART: Errno = Errno(512);
    /// A signal came before the host call began (its ERESTARTNOINTR): the guest never sees an error.
    pub const NOT_STARTED: Errno = Errno(513);

    /// Reads what a raw host call returned: −4095 to −1 are errors.
    pub fn check(value: u64) -> Result<u64, Errno> {
        match value as i64 {
            error @ -4095..=-1 => Err(Errno(-error as i32)),
            _ => Ok(value),
        }
    }

    /// The error as a system call returns it: the negated number.
    pub fn as_result(self) -> u64 {
        i64::from(-self.0) as u64
    }

    /// The name in errno(3), or `ERRNO` if it has none.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(number, _)| *number == self.0).map_or("ERRNO", |(_, name)| name)
    }

    /// The host C library's description of the error.
    pub fn text(self) -> String {
        let mut buffer = [0u8; 128];
        // SAFETY: the buffer is writable for its whole length and strerror_r ends what it writes with a NUL.
        let failed = unsafe { libc::strerror_r(self.0, buffer.as_mut_ptr().cast(), buffer.len()) };
        match CStr::from_bytes_until_nul(&buffer) {
            Ok(text) if failed == 0 => text.to_string_lossy().into_owned(),
            _ => format!("Unknown error {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.text())
    }
}

macro_rules! errnos {
    ($($name:ident)*) => {
        impl Errno {
            $(#[doc = concat!("`", stringify!($name), "` of errno(3).")]
            pub const $name: Errno = Errno(libc::$name);)*
        }
        static NAMES: &[(i32, &str)] = &[$((libc::$name, stringify!($name)),)* (512, "ERESTARTSYS"), (513, "ERESTARTNOINTR")];
    };
}

errnos! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK
    EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE
    EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENOMSG EIDRM
    ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC
    EBADSLT EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO
    EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX
    ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT
    EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL
    ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN
    ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN
    ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED
    EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL EHWPOISON
}
