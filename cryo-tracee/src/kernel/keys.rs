//! Keyrings (keyrings(7)).

use std::fs;

use crate::FsRights;

/// The id of our own session keyring, or of the one that our user has instead; `None` where keys are not allowed.
pub fn session_keyring() -> Option<u64> {
    const KEYCTL_GET_KEYRING_ID: libc::c_long = 0;
    const KEY_SPEC_SESSION_KEYRING: libc::c_long = -3;
    // SAFETY: a call with numbers only.
    let id = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) };
    u64::try_from(id).ok()
}

/// Is there a keyring of user `uid` that a process may have joined (KEYCTL_JOIN_SESSION_KEYRING)? By proc_keys(5), which shows what the filesystem
/// uid of the reader may see. Where it cannot be looked at, there may be.
pub fn may_be_joined(uid: u32, gid: u32) -> bool {
    let rights = FsRights { uid, gid, groups: None, effective: 0 };
    let Ok(_entered) = rights.enter() else { return true };
    fs::read_to_string("/proc/keys").map_or(true, |keys| joinable(&keys, uid))
}

/// ID, flags, usage, timeout, permissions, uid, gid, type, description.
fn joinable(keys: &str, uid: u32) -> bool {
    keys.lines().any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, _, _, owner, _, "keyring", name, ..] = columns[..] else { return false };
        // The kernel's own begin with a dot, and so do those that every user, process and thread has by itself.
        let by_itself =
            ["_uid.", "_uid_ses.", "_pid", "_tid", "_persistent", "."].iter().any(|own| name.starts_with(own));
        owner.parse() == Ok(uid) && !by_itself
    })
}

#[cfg(test)]
mod tests {
    use super::joinable;

    #[test]
    fn who_may_have_joined_one() {
        let keys = "0430f7c1 I--Q---   296 perm 1f3f0000     0 65534 keyring   _uid_ses.0: 1\n\
                    242e32fa I--Q---     1 perm 0c030000  1000 65534 keyring   .user_reg: 6\n\
                    1a2b3c4d I--Q---     2 perm 3f030000  1000  1000 keyring   _ses: 1\n\
                    1a2b3c4e I--Q---     2 perm 3f010000  1001  1001 user      _ses: 6\n";
        assert!(joinable(keys, 1000) && !joinable(keys, 0) && !joinable(keys, 1001) && !joinable("", 0));
    }
}
