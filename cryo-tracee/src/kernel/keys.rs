//! Keyrings (keyrings(7)).

/// The id of our own session keyring, or of the one that our user has instead; `None` where keys are not allowed.
pub fn session_keyring() -> Option<u64> {
    const KEYCTL_GET_KEYRING_ID: libc::c_long = 0;
    const KEY_SPEC_SESSION_KEYRING: libc::c_long = -3;
    // SAFETY: a call with numbers only, which makes nothing (its last argument is 0).
    let id = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) };
    u64::try_from(id).ok()
}
