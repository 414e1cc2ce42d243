//! `TLSE`: thread-local storage of i386 (set_thread_area(2)).

use cryo_format::section::tls::{Tls, TlsEntry};
use cryo_tracee::{Arch, Stopped, UserDesc};

use super::Collected;
use crate::Result;

/// Adds the entries of a thread of i386, if it has any. (The thread pointer of x86-64 is a register.)
pub fn collect(thread: &Stopped, arch: Arch, id: u64, out: &mut Collected) -> Result<()> {
    if arch != Arch::I386 {
        return Ok(());
    }
    let entry = |UserDesc { entry, base, limit, flags }| TlsEntry { entry, base, limit, flags };
    let entries: Vec<TlsEntry> = thread.thread_areas()?.into_iter().map(entry).collect();
    if !entries.is_empty() {
        out.add(id, Tls { entries: entries.into() });
    }
    Ok(())
}
