//! `TLSE`: thread-local storage of i386.

use cryo_format::section::tls::{Tls, TlsEntry};
use cryo_tracee::{Stopped, UserDesc};

use crate::Result;

/// Sets a thread's entries, before a register holds a selector of one. Whoever made the thread has given it its own.
pub fn restore(thread: &mut Stopped, tls: Option<&Tls>) -> Result<()> {
    let area = |TlsEntry { entry, base, limit, flags }: &TlsEntry| UserDesc {
        entry: *entry,
        base: *base,
        limit: *limit,
        flags: *flags,
    };
    let areas: Vec<UserDesc> = tls.into_iter().flat_map(|tls| &tls.entries).map(area).collect();
    Ok(thread.set_thread_areas(&areas)?)
}
