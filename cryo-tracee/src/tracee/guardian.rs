//! A guardian: the tracing is done by a process of its own, which outlives the command.
//!
//! A program that is being frozen survives the death of its tracer at any moment ([`crate::remote`]), but only who is not killed cleans up:
//! names of files, a mapping that threads were in, connections. So the command that people start, interrupt and kill only waits; its child
//! traces, in a session of its own, and keeps SIGTERM blocked. Signals that ask the command to end, and its death, come to the child as
//! a SIGTERM, after which it looks where it can stop ([`crate::signals::asked_to_end`]).
//!
//! Where Yama lets only ancestors trace (its ptrace_scope is 1) the child may not: to the target it is a sibling. Then the command traces itself
//! ([`run_here`]). The target is as safe as ever; what a SIGKILL of the command would leave behind is what a SIGKILL of a guardian leaves.

use std::mem::zeroed;
use std::ptr;

use crate::error::refuse;
use crate::signals::{self, ENDING, Ended};
use crate::{Error, RefusalKind, Result, proc};

/// The exit code of a guardian that has ended because it was asked to: that of a SIGTERM in the shell's manner.
pub const ASKED: i32 = 128 + libc::SIGTERM;

/// Runs `work` in a guardian and returns its exit code. Call it before any thread is started: it is refused afterwards.
///
/// [`Error::Asked`] if the guardian ended because one of the signals INT, TERM, HUP, QUIT came to us; whatever was complete by then stays so.
pub fn run(work: impl FnOnce() -> i32) -> Result<i32> {
    start(work, &ENDING)
}

/// The same where no signal asks us to end: what comes while we wait stays pending.
pub fn run_undisturbed(work: impl FnOnce() -> i32) -> Result<i32> {
    start(work, &[])
}

/// Runs `work` in this very process: it is an ancestor of the target, which no guardian would be. What asks it to end is held back as it is in a guardian, and so
/// is Ctrl-Z, from here on; for the rest see [`run`].
pub fn run_here(work: impl FnOnce() -> i32) -> Result<i32> {
    proc::one_thread("tracing")?;
    block(&[&ENDING[..], &[libc::SIGTSTP]].concat());
    // SAFETY: SIG_IGN is no handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    match work() {
        ASKED => Err(Error::Asked(signals::asked().unwrap_or(libc::SIGTERM))),
        code => Ok(code),
    }
}

fn start(work: impl FnOnce() -> i32, ending: &[i32]) -> Result<i32> {
    proc::one_thread("starting the guardian")?;
    let (waited, before) = block(ending);
    // SAFETY: takes nothing.
    let parent = unsafe { libc::getpid() };
    // SAFETY: we have one thread, as was just seen, so the child may go on in ordinary code.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(Error::last("starting the guardian")),
        0 => {
            // SAFETY: numbers, and signal sets that were initialised; SIG_IGN and SIG_DFL are dispositions, not handlers. A file size limit shall be an error of write(2), not our end. A session of its own keeps Ctrl-C and kills of our process group away from it.
            let orphan = unsafe {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                libc::signal(libc::SIGTERM, libc::SIG_DFL);
                let mut mask = before;
                libc::sigaddset(&raw mut mask, libc::SIGTERM);
                libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask, ptr::null_mut());
                libc::setsid();
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                libc::getppid() != parent
            };
            std::process::exit(if orphan { 2 } else { work() })
        }
        child => {
            let (ended, asked) = wait(child, &waited)?;
            match (ended, asked) {
                (Ended::Exit(ASKED) | Ended::Signal(libc::SIGTERM), Some(signal)) => Err(Error::Asked(signal)),
                (Ended::Exit(code), _) => Ok(code),
                (Ended::Signal(n), _) => refuse(
                    RefusalKind::Internal,
                    format!("the guardian (process {child}) was killed by signal {n}; nothing was frozen"),
                ),
            }
        }
    }
}

/// Blocks what is waited for: the child's end, and what asks us to end, unless it is ignored (nohup(1)). Returns that set and the mask of before.
fn block(ending: &[i32]) -> (libc::sigset_t, libc::sigset_t) {
    // SAFETY: sigset_t and sigaction are plain data, which the calls initialise; the dispositions set are none of a handler.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        let mut before: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut set);
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        for &signal in ending {
            let mut action: libc::sigaction = zeroed();
            libc::sigaction(signal, ptr::null(), &raw mut action);
            if action.sa_sigaction != libc::SIG_IGN {
                libc::sigaddset(&raw mut set, signal);
            }
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, &raw mut before);
        (set, before)
    }
}

/// Waits for the guardian's end; also returns the first signal that asked us to end.
fn wait(child: i32, waited: &libc::sigset_t) -> Result<(Ended, Option<i32>)> {
    let mut asked = None;
    loop {
        if let Some(ended) = signals::ended(child)? {
            return Ok((ended, asked));
        }
        // SAFETY: the set is initialised, no siginfo is asked for.
        let signal = unsafe { libc::sigwaitinfo(waited, ptr::null_mut()) };
        if ENDING.contains(&signal) {
            asked.get_or_insert(signal);
            let _ = signals::kill(child, libc::SIGTERM);
        }
    }
}
