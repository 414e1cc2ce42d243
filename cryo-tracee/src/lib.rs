//! A stopped process in our hands: ptrace, remote memory, remote system calls, /proc.
//!
//! This is the only crate of the house with `unsafe`. It knows nothing of image files. What it promises:
//!
//! * a thread that is stopped ([`Stopped`]) and one that runs are different things, and only the first can be read or changed;
//! * dropping a [`Stopped`] puts back every register and mask that was changed and lets the thread go ([`Stopped::drop`]);
//! * a [`Host`] that is dropped is gone: a half-thawed process is never left behind;
//! * everything that waits has a limit ([`LIMIT`]).

pub mod elf;
mod error;
mod front;
mod kernel;
pub mod proc;
mod refusal;
mod tracee;

pub use front::report::say;
pub use front::{background, foreground, namespace, report};
pub use kernel::{
    cpu, fds, fs_rights, hugetlb, keys, limits, magic, mqueue, repair, sched, seccomp, signals, sock_diag, sockets,
    sysv, timens, tty,
};
pub(crate) use kernel::{sys, version};
pub use tracee::{
    arch, family, fault, forked_copy, guardian, host, interrupted, kill_on_close, mem, orphan, page_faults, process,
    remote, stopped, tracees, write_watch,
};

pub use arch::{Arch, Regs};
pub use error::{Error, Result};
pub use family::{Family, NotSeized};
pub use forked_copy::ForkedCopy;
pub use fs_rights::FsRights;
pub use host::Host;
pub use kill_on_close::KillOnClose;
pub use mem::Memory;
pub use page_faults::PageFaults;
pub use process::Process;
pub use refusal::{Refusal, RefusalKind, Refusals};
pub use remote::{Batch, Remote};
pub use stopped::{AWAY, Stopped, Xstate};
pub use sys::{Dispatch, UserDesc, set_limit};
pub use write_watch::WriteWatch;

/// How long a thread may take to stop, or a remote call to return, before we give up and let everything go. A thread in
/// uninterruptible sleep (a dead NFS server) does not stop at all.
pub const LIMIT: std::time::Duration = std::time::Duration::from_secs(10);
