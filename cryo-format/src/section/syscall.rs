//! `SYSC`, and `SI32` of a 32-bit thread: the system call that a thread was stopped in, and how it goes on. Owner: the thread; absent when it was in user code.
//!
//! The registers stay as the kernel handed them over (`orig_rax` the number, `rax` the kernel's -ERESTART code), so a thaw that sets them
//! at a ptrace stop has the kernel itself decide between restart and EINTR. Only a restart through the kernel's restart block needs more:
//! what the call was, and how much of its time was left.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Addr;
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;

/// An interrupted system call.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// An interrupted system call of an i386 thread, by its number there.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyscallI386 {
    /// Its number; for one that had been restarted through restart_syscall(2), the number of the original call.
    pub number: u32,
    /// One of the constants of [`Restart`].
    pub restart: Restart,
    /// Its six arguments.
    pub args: [u32; 6],
    /// 1 = `remaining_ns` is known.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
    /// Time left of a relative timeout, in nanoseconds.
    pub remaining_ns: u64,
}

/// How the kernel would go on (include/linux/errno.h).
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// The calls that the kernel restarts through a block, by their numbers on x86-64: each does nothing but wait.
const NANOSLEEP: u64 = 35;
const POLL: u64 = 7;
const FUTEX: u64 = 202;
const CLOCK_NANOSLEEP: u64 = 230;
/// FUTEX_WAIT and FUTEX_WAIT_BITSET, without FUTEX_PRIVATE_FLAG (128) and FUTEX_CLOCK_REALTIME (256): the operations of futex(2) that only wait.
const FUTEX_WAITS: [u64; 2] = [0, 9];

impl Syscall {
    /// Is it a call that the kernel may restart through a block? (do_restart_poll, hrtimer_nanosleep_restart and its kin, futex_wait_restart)
    pub fn has_restart_block(&self) -> bool {
        match self.number {
            NANOSLEEP | POLL | CLOCK_NANOSLEEP => true,
            FUTEX => FUTEX_WAITS.contains(&(self.args[1].0 as u32 as u64 & !0x180)),
            _ => false,
        }
    }
}

/// The same on i386; those of time_t's second kind are calls of their own.
const I386_WAITS: [u32; 4] = [162, 168, 267, 407];
const I386_FUTEX: [u32; 2] = [240, 422];

impl SyscallI386 {
    /// See [`Syscall::has_restart_block`].
    pub fn has_restart_block(&self) -> bool {
        let futex = || FUTEX_WAITS.contains(&(u64::from(self.args[1]) & !0x180));
        I386_WAITS.contains(&self.number) || I386_FUTEX.contains(&self.number) && futex()
    }
}

impl Validate for SyscallI386 {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.reserved == 0, Rule::RESERVED, || format!("reserved is {:#x}", self.reserved))?;
        ensure(self.restart != Restart::RESTARTBLOCK || self.has_restart_block(), Rule::RESTART, || {
            format!("system call {} of i386 ({:#x}, ...) has no restart block", self.number, self.args[0])
        })
    }
}

impl Validate for Syscall {
    fn validate(&self) -> Result<(), Violation> {
        // A thaw makes this call again: another one would be made with the rights of who thaws.
        ensure(self.restart != Restart::RESTARTBLOCK || self.has_restart_block(), Rule::RESTART, || {
            format!(
                "system call {} ({:#x}, {:#x}, ...) has no restart block",
                self.number, self.args[0].0, self.args[1].0
            )
        })
    }
}
