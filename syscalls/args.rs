//! Typed arguments: how the words of a guest's registers become what a handler takes.

use crate::call::{Call, Outcome, Reply};
use crate::errno::Errno;
use crate::uaccess::GuestPtr;

/// A descriptor: the low 32 bits of the word, signed; AT_FDCWD is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fd(pub i32);

impl Fd {
    /// The working directory, for the `at` family.
    pub const CWD: Fd = Fd(libc::AT_FDCWD);

    /// The descriptor as an argument of a host call.
    pub fn word(self) -> u64 {
        i64::from(self.0) as u64
    }
}

/// A type that one argument register becomes.
pub(crate) trait Arg {
    /// Takes from the word what the kernel would: narrower types look at the low bits only.
    fn from_word(word: u64) -> Self;
}

impl Arg for u64 {
    fn from_word(word: u64) -> Self {
        word
    }
}

impl Arg for u32 {
    fn from_word(word: u64) -> Self {
        word as u32
    }
}

impl Arg for i32 {
    fn from_word(word: u64) -> Self {
        word as i32
    }
}

impl Arg for Fd {
    fn from_word(word: u64) -> Self {
        Fd(word as i32)
    }
}

impl<T> Arg for GuestPtr<T> {
    fn from_word(word: u64) -> Self {
        GuestPtr::new(word)
    }
}

/// What handlers return: a value or a whole outcome, or an error.
pub(crate) trait IntoOutcome {
    /// The outcome that this stands for.
    fn into_outcome(self) -> Result<Outcome, Errno>;
}

impl IntoOutcome for Reply {
    fn into_outcome(self) -> Result<Outcome, Errno> {
        self.map(Outcome::value)
    }
}

impl IntoOutcome for Result<Outcome, Errno> {
    fn into_outcome(self) -> Result<Outcome, Errno> {
        self
    }
}

/// A handler of any number of typed arguments.
pub(crate) trait Handler<Args> {
    /// Converts the call's words and runs the handler.
    fn run(&self, call: &mut Call<'_>) -> Result<Outcome, Errno>;
}

macro_rules! handlers {
    ($(($($arg:ident $index:literal),*);)*) => {$(
        impl<F, R: IntoOutcome, $($arg: Arg),*> Handler<($($arg,)*)> for F
        where
            F: Fn(&mut Call<'_>, $($arg),*) -> R,
        {
            fn run(&self, call: &mut Call<'_>) -> Result<Outcome, Errno> {
                let _words = call.args;
                self(call, $($arg::from_word(_words[$index])),*).into_outcome()
            }
        }
    )*};
}

handlers! {
    ();
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, G 5);
}
