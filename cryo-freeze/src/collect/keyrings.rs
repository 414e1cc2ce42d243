//! Keyrings (keyrings(7)), which are the kernel's own and cannot be carried. A thread's and a process's own are refused; a session keyring is the
//! thawer's, as after a new login, and that is noted where it is another one than the freezer's.

use cryo_tracee::remote::Done;
use cryo_tracee::{Batch, keys};

use super::{Collected, refuse};
use crate::Result;

const KEYCTL_GET_KEYRING_ID: u64 = 0;
const KEY_SPEC_THREAD_KEYRING: u64 = -1_i64 as u64;
const KEY_SPEC_PROCESS_KEYRING: u64 = -2_i64 as u64;
const KEY_SPEC_SESSION_KEYRING: u64 = -3_i64 as u64;
const KEY_SPEC_USER_SESSION_KEYRING: u64 = -5_i64 as u64;

/// Questions to a thread about itself.
pub struct Questions {
    own: [usize; 2],
    session: usize,
    user_session: usize,
}

impl Questions {
    /// keyctl(2), which makes no keyring if there is none.
    pub fn ask(batch: &mut Batch) -> Self {
        let mut ask = |keyring| batch.call(libc::SYS_keyctl, &[KEYCTL_GET_KEYRING_ID, keyring, 0]);
        Self {
            own: [KEY_SPEC_THREAD_KEYRING, KEY_SPEC_PROCESS_KEYRING].map(&mut ask),
            session: ask(KEY_SPEC_SESSION_KEYRING),
            user_session: ask(KEY_SPEC_USER_SESSION_KEYRING),
        }
    }
}

/// Refuses or notes what thread `tid` would lose. An error is ENOKEY, or keys are not allowed here at all.
pub fn check(tid: i32, q: &Questions, done: &Done, out: &mut Collected) -> Result<()> {
    if q.own.iter().any(|call| done.result(*call).is_ok()) {
        return refuse(format!("thread {tid} has a keyring of its own (keyrings(7)), which cannot be carried"));
    }
    // Without one of its own a session has that of its user.
    if let Ok(session) = done.result(q.session)
        && done.result(q.user_session).ok() != Some(session)
        && keys::session_keyring() != Some(session)
    {
        out.note(
            "a thread",
            format!(
                "its session keyring ({session:#x}, keyrings(7)) is not carried: its keys are those of who thaws it"
            ),
        );
    }
    Ok(())
}
