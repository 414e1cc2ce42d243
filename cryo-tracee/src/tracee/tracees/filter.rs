//! The seccomp filter under which a watched program runs: watched calls stop, all others are as fast as ever.
//!
//! The number is looked at before anything else, so that the kernel finds by trying (kernel/seccomp.c, seccomp_cache_prepare) which numbers are
//! allowed whatever their arguments are, keeps them in a bitmap, and does not run the filter for those at all.
//!
//! Where a stop tells nothing but who asks, the call need not stop: the kernel passes it to a [`Listener`](super::Listener), which answers in a third of the time.

use std::mem::offset_of;

use crate::{Error, Result};

/// Which calls of one number are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// All of them.
    Always,
    /// Those whose argument is not 0.
    NotNull(u8),
    /// Those whose argument has one of these bits.
    AnyOf(u8, u32),
    /// Those whose argument is one of these.
    In(u8, &'static [u32]),
}

impl When {
    /// Is a call with these arguments one of them?
    pub fn holds(self, args: &[u64; 6]) -> bool {
        match self {
            Self::Always => true,
            Self::NotNull(argument) => args[usize::from(argument)] != 0,
            Self::AnyOf(argument, bits) => args[usize::from(argument)] as u32 & bits != 0,
            Self::In(argument, values) => values.contains(&(args[usize::from(argument)] as u32)),
        }
    }
}

/// A system call that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Its name.
    pub name: &'static str,
    /// Its number for 64-bit code; none if there is no such call.
    pub native: Option<u32>,
    /// The same for 32-bit code, and for `int 0x80`.
    pub i386: Option<u32>,
    /// Which of them.
    pub when: When,
    /// How often it stops.
    pub stops: Stops,
}

/// How often a watched call stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stops {
    /// Before it is made.
    Once,
    /// And once more: its result is of interest.
    Twice,
    /// Not at all, where the kernel can have it answered: it is not made, a [`Listener`](super::Listener) has its result. Otherwise it stops before it is made.
    Never,
}

/// Data of a filter's answer that says that the result is of interest.
pub(super) const RESULT: u32 = 1;

const LD_W_ABS: u16 = 0x20;
const JEQ_K: u16 = 0x15;
const JGE_K: u16 = 0x35;
const JSET_K: u16 = 0x45;
const RET_K: u16 = 0x06;

/// linux/audit.h
pub(super) const ARCH_X86_64: u32 = 0xc000_003e;
pub(super) const ARCH_I386: u32 = 0x4000_0003;
/// Numbers of the x32 interface have this bit (asm/unistd.h).
const X32: u32 = 0x4000_0000;

fn op(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// Does this line pass a call to a listener?
fn asks(line: libc::sock_filter) -> bool {
    line.code == RET_K && line.k == libc::SECCOMP_RET_USER_NOTIF
}

fn load(offset: usize) -> libc::sock_filter {
    op(LD_W_ABS, 0, 0, offset as u32)
}

/// The low and the high word of an argument.
fn words(argument: u8) -> [usize; 2] {
    let low = offset_of!(libc::seccomp_data, args) + 8 * usize::from(argument);
    [low, low + 4]
}

/// Those lines of the filter that answer for one call. The number is in the accumulator.
fn one(number: u32, watch: &Watch) -> Vec<libc::sock_filter> {
    let answer = match watch.stops {
        Stops::Once => libc::SECCOMP_RET_TRACE,
        Stops::Twice => libc::SECCOMP_RET_TRACE | RESULT,
        Stops::Never => libc::SECCOMP_RET_USER_NOTIF,
    };
    let trace = op(RET_K, 0, 0, answer);
    let allow = op(RET_K, 0, 0, libc::SECCOMP_RET_ALLOW);
    let body = match watch.when {
        When::Always => vec![trace],
        When::NotNull(argument) => {
            let [low, high] = words(argument).map(load);
            vec![low, op(JEQ_K, 0, 3, 0), high, op(JEQ_K, 0, 1, 0), allow, trace]
        }
        When::AnyOf(argument, bits) => vec![load(words(argument)[0]), op(JSET_K, 1, 0, bits), allow, trace],
        When::In(argument, values) => {
            let mut lines = vec![load(words(argument)[0])];
            for (i, value) in values.iter().enumerate() {
                lines.push(op(JEQ_K, (values.len() - i) as u8, 0, *value));
            }
            lines.extend([allow, trace]);
            lines
        }
    };
    let mut lines = vec![op(JEQ_K, 0, body.len() as u8, number)];
    lines.extend(body);
    lines
}

/// A filter, ready to be installed.
#[derive(Clone)]
pub struct Filter {
    pub(super) lines: Vec<libc::sock_filter>,
    pub(super) no_new_privs: bool,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a filter of {} instructions", self.lines.len())
    }
}

impl Filter {
    /// One that watches these.
    pub fn of(watched: &[Watch]) -> Self {
        let part = |number: fn(&Watch) -> Option<u32>| -> Vec<_> {
            let mut lines: Vec<_> = watched.iter().filter_map(|w| number(w).map(|n| one(n, w))).flatten().collect();
            lines.push(op(RET_K, 0, 0, libc::SECCOMP_RET_ALLOW));
            lines
        };
        let (native, i386) = (part(|w| w.native), part(|w| w.i386));
        let mut lines = vec![load(offset_of!(libc::seccomp_data, arch)), op(JEQ_K, 2, 0, ARCH_X86_64)];
        // A long jump to the part of 32-bit code: the short ones reach no farther than 255 lines.
        lines.push(load(offset_of!(libc::seccomp_data, nr)));
        lines.push(op(0x05, 0, 0, native.len() as u32 + 3));
        lines.push(load(offset_of!(libc::seccomp_data, nr)));
        // x32 programs have the same calls by other numbers; what they do is seen in the kernel's tables alone.
        lines.push(op(JGE_K, 0, 1, X32));
        lines.push(op(RET_K, 0, 0, libc::SECCOMP_RET_ALLOW));
        lines.extend(native);
        lines.extend(i386);
        Self { lines, no_new_privs: false }
    }

    /// Has it calls that a listener answers?
    pub(super) fn asks(&self) -> bool {
        self.lines.iter().copied().any(asks)
    }

    /// The same, but all that are watched stop.
    #[must_use]
    pub(super) fn without_listener(mut self) -> Self {
        self.lines.iter_mut().filter(|line| asks(**line)).for_each(|line| line.k = libc::SECCOMP_RET_TRACE);
        self
    }

    /// Who is under it gains no rights by execve(2) (prctl(PR_SET_NO_NEW_PRIVS)), even where it may be installed without that.
    #[must_use]
    pub fn without_privileges(self) -> Self {
        Self { no_new_privs: true, ..self }
    }

    /// Installs it in this thread, for it and all that it begins. Without the right to do so otherwise, it is also kept from gaining any by execve(2).
    pub(super) fn install(&self) -> Result<()> {
        let program = libc::sock_fprog { len: self.lines.len() as u16, filter: self.lines.as_ptr().cast_mut() };
        // SAFETY: the program lives as long as the call, which only reads it; the other takes numbers.
        let set = || unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER as libc::c_long, 0_usize, &raw const program)
        };
        if !self.no_new_privs && set() == 0 {
            return Ok(());
        }
        // SAFETY: takes numbers.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } == 0 && set() == 0 {
            return Ok(());
        }
        Err(Error::last("installing the filter of system calls"))
    }
}
