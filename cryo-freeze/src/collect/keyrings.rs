//! Keyrings (keyrings(7)), which are the kernel's own and cannot be carried. A thread's and a process's own are refused; a session keyring is the
//! thawer's, as after a new login, and that is noted where it is another one than the freezer's.

use cryo_tracee::proc::Status;
use cryo_tracee::remote::Done;
use cryo_tracee::{Batch, keys};

use super::{Collected, RefusalKind, Scene, refuse};
use crate::Result;

const KEYCTL_GET_KEYRING_ID: u64 = 0;
const KEY_SPEC_THREAD_KEYRING: u64 = -1_i64 as u64;
const KEY_SPEC_PROCESS_KEYRING: u64 = -2_i64 as u64;
const KEY_SPEC_SESSION_KEYRING: u64 = -3_i64 as u64;
const KEY_SPEC_USER_SESSION_KEYRING: u64 = -5_i64 as u64;

/// Questions to a thread about itself.
pub struct Questions {
    own: [usize; 2],
    /// Its session's, and its user's.
    session: Option<[usize; 2]>,
}

/// May a thread of the process have joined a session keyring? To ask a thread that has none gives it that of its user, and makes this one, charged to
/// the user, once more in each user namespace (security/keys/process_keys.c, lookup_user_key): after a hundred of them the user's quota was used up.
/// So only where there is a keyring that may have been joined is anybody asked.
/// It takes a while, and `members`, who stand still already, have been asked.
pub fn may_be_joined(status: &Status, members: &[Scene<'_>]) -> bool {
    let ids = |status: &Status| (status.ids("Uid")[3], status.ids("Gid")[3]);
    let (uid, gid) = ids(status);
    let like = members.iter().find(|scene| ids(&scene.status) == (uid, gid));
    like.map_or_else(|| keys::may_be_joined(uid, gid), |scene| scene.may_have_joined_keyring)
}

impl Questions {
    /// keyctl(2). `session`: see [`may_be_joined`].
    pub fn ask(batch: &mut Batch, session: bool) -> Self {
        let mut ask = |keyring| batch.call(libc::SYS_keyctl, &[KEYCTL_GET_KEYRING_ID, keyring, 0]);
        Self {
            own: [KEY_SPEC_THREAD_KEYRING, KEY_SPEC_PROCESS_KEYRING].map(&mut ask),
            session: session.then(|| [KEY_SPEC_SESSION_KEYRING, KEY_SPEC_USER_SESSION_KEYRING].map(&mut ask)),
        }
    }
}

/// Refuses or notes what thread `tid` would lose. An error is ENOKEY, or keys are not allowed here at all.
pub fn check(tid: i32, q: &Questions, done: &Done, out: &mut Collected) -> Result<()> {
    if q.own.iter().any(|call| done.result(*call).is_ok()) {
        return refuse(
            RefusalKind::Credentials,
            format!("thread {tid} has a keyring of its own (keyrings(7)), which cannot be carried"),
        );
    }
    // Without one of its own a session has that of its user.
    if let Some([session, user_session]) = q.session
        && let Ok(session) = done.result(session)
        && done.result(user_session).ok() != Some(session)
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
