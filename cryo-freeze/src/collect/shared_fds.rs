//! [Shared state](super::shared) behind descriptors.

use std::os::unix::fs::MetadataExt;

use super::description::{Cx, Description};
use super::mqueues;
use super::shared::found;
use crate::Result;

/// Refuses a description that another process uses, too, or notes it.
pub fn check<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<()> {
    let f = d.first();
    let (kind, flags) = (f.meta.file_type(), f.info.flags());
    let anon = f.link.starts_with(b"anon_inode:");
    // What a directory or a path held by O_PATH knows is its place; a pidfd knows nothing.
    // What a message queue holds is shared by its name.
    if kind.is_file() && f.meta.nlink() > 0 && mqueues::is(cx.of(f), f) {
        return Ok(());
    }
    if flags & libc::O_PATH as u64 != 0 || !(kind.is_file() || anon) || f.is_anon("pidfd") {
        return Ok(());
    }
    let others = &cx.machine.others;
    let (process, fd) = (cx.of(f).live_tid, f.fd);
    if kind.is_file() && f.meta.nlink() == 0 {
        let writes = flags & libc::O_ACCMODE as u64 != libc::O_RDONLY as u64;
        let other = others.unlinked(f.meta.dev(), f.meta.ino()).filter(|other| writes || other.writes);
        if let Some(other) = other {
            return found(cx.of(f), &f.short_name(), &other, "content", Some(fd), cx.out);
        }
    }
    if let Some(other) = f.info.number("eventfd-id").and_then(|id| others.eventfd(id)) {
        return found(cx.of(f), &f.short_name(), &other, "counter", Some(fd), cx.out);
    }
    // What is only appended to has no use for its offset.
    let appends = flags & (libc::O_ACCMODE | libc::O_APPEND) as u64 == (libc::O_WRONLY | libc::O_APPEND) as u64;
    if !anon && appends {
        return Ok(());
    }
    let Some(other) = others.description(process, fd, &f.link) else { return Ok(()) };
    if anon {
        return found(cx.of(f), &f.short_name(), &other, "state", Some(fd), cx.out);
    }
    // A shell shares stdin and stdout with what it starts, and waits: to refuse that would be to refuse most programs of a script.
    if fd <= 2 {
        cx.out.note(f.name(), format!("{} shares its offset: from here on each has its own", other.name));
        return Ok(());
    }
    found(cx.of(f), &f.short_name(), &other, "offset", Some(fd), cx.out)
}
