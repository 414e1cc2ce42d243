//! A stopped process in our hands: ptrace, remote memory, remote system calls, /proc.
//!
//! This is the only crate of the house with `unsafe`. It knows nothing of image files. What it promises:
//!
//! * a thread that is stopped ([`Stopped`]) and one that runs are different things, and only the first can be read or changed;
//! * dropping a [`Stopped`] puts back every register and mask that was changed and lets the thread go ([`Stopped::drop`]);
//! * a [`Host`] that is dropped is gone: a half-thawed process is never left behind;
//! * everything that waits has a limit ([`LIMIT`]).

mod arch;
mod copy;
pub mod cpu;
pub mod elf;
mod error;
pub mod fault;
mod fdinfo;
pub mod fds;
pub mod guardian;
pub mod host;
pub mod interrupted;
pub mod limits;
mod maps;
pub mod mem;
pub mod namespace;
mod pagemap;
pub mod proc;
mod process;
pub mod remote;
pub mod repair;
pub mod sched;
pub mod seccomp;
pub mod signals;
pub mod sock_diag;
pub mod sockets;
mod stopped;
mod sys;
pub mod sysv;
pub mod timens;
pub mod tty;

pub use copy::Copy;
pub use error::{Error, Result};
pub use host::Host;
pub use mem::Memory;
pub use process::Process;
pub use remote::{Batch, Remote};
pub use stopped::{AWAY, Regs, Stopped, Xstate};
pub use sys::set_limit;

/// One line of words for people on stderr, in one write, so that lines of programs that run at once do not mix.
pub fn say(line: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// How long a thread may take to stop, or a remote call to return, before we give up and let everything go. A thread in
/// uninterruptible sleep (a dead NFS server) does not stop at all.
pub const LIMIT: std::time::Duration = std::time::Duration::from_secs(10);
