//! Landlock (landlock(7)): nobody can read the rules that a thread is restricted by. But whether there are any can be told: who is in a domain may not trace
//! who is outside (hook_ptrace_access_check), and get_robust_list(2) of another thread asks for the right to trace it, and no more than that.
//!
//! So there is a witness: a thread of ours with the ids and no more capabilities than the process has, of which each of its threads asks. Where this one
//! may not, while it may ask about itself (no seccomp filter forbids the call), it is restricted. Other security modules answer EACCES.

use cryo_tracee::Batch;
use cryo_tracee::proc::Status;
use cryo_tracee::remote::Done;

use super::witness::Witness;
use super::{Collected, RefusalKind, Scene, refuse};
use crate::Result;
use crate::options::Landlock;

/// Calls of a thread about itself and about the witness.
pub struct Question(Option<(usize, usize)>);

impl Question {
    /// get_robust_list(2).
    pub fn ask(batch: &mut Batch, witness: Option<&Witness>) -> Self {
        Self(witness.map(|witness| {
            let (head, len) = (batch.space(8), batch.space(8));
            let mut ask = |tid| batch.call(libc::SYS_get_robust_list, &[tid, head.addr, len.addr]);
            (ask(0), ask(witness.tid as u64))
        }))
    }
}

/// Are we perhaps in a domain ourselves? Whom the same one restricts may be traced by us, and may trace us, as if there were none.
fn ours_may_be_restricted() -> bool {
    static OURS: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        Status::of(std::process::id() as i32).is_ok_and(|us| us.number("NoNewPrivs") == Some(1))
    });
    *OURS
}

/// Refuses or notes that thread `tid` is restricted, or notes that it may be.
pub fn check(
    scene: &Scene<'_>,
    tid: i32,
    status: &Status,
    witness: Option<&Witness>,
    q: &Question,
    done: &Done,
    out: &mut Collected,
) -> Result<()> {
    let process = || format!("process {}", scene.pid);
    let told = q.0.filter(|(itself, _)| witness.is_some_and(|w| w.is_like(status)) && done.result(*itself).is_ok());
    match told.map(|(_, other)| done.result(other)) {
        Some(Ok(_)) if !ours_may_be_restricted() => Ok(()),
        Some(Err(e)) if e.errno() == Some(libc::EPERM) => match scene.options.landlock {
            Landlock::Refuse => refuse(
                RefusalKind::Credentials,
                format!(
                    "thread {tid} of process {} is restricted by Landlock (landlock(7)), and nobody can read by which rules: use --landlock drop, and the \
                     thawed program is not restricted by them",
                    scene.pid
                ),
            ),
            Landlock::Drop => {
                out.note(process(), "restricted by Landlock: the thawed program is not (--landlock drop)");
                Ok(())
            }
        },
        // Whoever is not root can only be restricted with no_new_privs; with a seccomp filter that is what it was set for.
        _ if status.number("NoNewPrivs") == Some(1) && status.number("Seccomp") == Some(0) => {
            out.note(
                process(),
                "it has set no_new_privs, perhaps for Landlock, which could not be asked here: the thawed program is not restricted by it",
            );
            Ok(())
        }
        _ => Ok(()),
    }
}
