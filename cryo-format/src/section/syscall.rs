//! `SYSC`: the system call that a thread was stopped in, and how it goes on. Owner: the thread; absent when it was in user code.
//!
//! The registers stay as the kernel handed them over (`orig_rax` the number, `rax` the kernel's -ERESTART code), so a thaw that sets them
//! at a ptrace stop has the kernel itself decide between restart and EINTR. Only a restart through the kernel's restart block needs more:
//! what the call was, and how much of its time was left.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Addr;
use crate::section::Validate;

/// An interrupted system call.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syscall {
    /// Its number; for one that had been restarted through restart_syscall(2), the number of the original call.
    pub number: u64,
    /// Its six arguments.
    pub args: [Addr; 6],
    /// One of the constants of [`Restart`].
    pub restart: Restart,
    /// Bits of [`Restart`]'s notes: 1 = `remaining_ns` is known.
    pub flags: u32,
    /// Time left of a relative timeout, in nanoseconds.
    pub remaining_ns: u64,
}

/// How the kernel would go on (include/linux/errno.h).
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Restart(pub u32);

impl Restart {
    /// It had finished; `rax` is its result.
    pub const NONE: Self = Self(0);
    /// -ERESTARTSYS (512): again, unless a handler without SA_RESTART runs.
    pub const SYS: Self = Self(512);
    /// -ERESTARTNOINTR (513): always again.
    pub const NOINTR: Self = Self(513);
    /// -ERESTARTNOHAND (514): again if no handler runs.
    pub const NOHAND: Self = Self(514);
    /// -ERESTART_RESTARTBLOCK (516): again for the time that is left.
    pub const RESTARTBLOCK: Self = Self(516);
}

impl Validate for Syscall {}
