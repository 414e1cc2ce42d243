//! A guardian: the tracing is done by a process of its own, which outlives the command.
//!
//! When a tracer is killed, the kernel lets its tracees go with whatever registers they have at that moment. While a remote call is made those
//! are not the program's own, and it would be lost. So the command that people start, and kill, only waits; its child traces. The kernel
//! tells the child of its parent's death by SIGTERM, which the child keeps blocked as long as something must be put back
//! ([`crate::signals::Uninterrupted`]); otherwise it ends at once, and its tracees go on unharmed.

use crate::signals::{self, Ended};
use crate::{Error, Result};

/// Runs `work` in a guardian and returns its exit code. Call it before any thread is started.
pub fn run(work: impl FnOnce() -> i32) -> Result<i32> {
    // SAFETY: takes nothing.
    let parent = unsafe { libc::getpid() };
    // SAFETY: we have one thread, so the child may go on in ordinary code.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(Error::last("starting the guardian")),
        0 => {
            // SAFETY: numbers only; SIG_IGN is a disposition, not a handler. A file size limit shall be an error of write(2), not our end. A session of its own keeps Ctrl-C and kills of our process group away from it.
            let orphan = unsafe {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                libc::setsid();
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                libc::getppid() != parent
            };
            std::process::exit(if orphan { 2 } else { work() })
        }
        child => match signals::wait_child(child)? {
            Ended::Exit(code) => Ok(code),
            Ended::Signal(n) => Err(Error::Refused(format!(
                "the guardian (process {child}) was killed by signal {n}; nothing was frozen"
            ))),
        },
    }
}
