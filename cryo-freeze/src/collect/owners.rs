//! `OWNR`: who is told when a file can be read or written.

use cryo_format::section::owners::{NOBODY, OUTSIDE, OWN_GROUP, Owner, PROCESS, THREAD};

use super::description::{Cx, Description};
use crate::Result;

/// F_OWNER_* of fcntl(2).
const F_OWNER_TID: i32 = 0;
const F_OWNER_PID: i32 = 1;

/// Adds the owner of a description, if it has one.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<()> {
    let f = d.first();
    let asynchronous = f.info.flags() & libc::O_ASYNC as u64 != 0;
    let (kind, number, signal) = f.owner;
    if number == 0 && signal == 0 && !asynchronous {
        return Ok(());
    }
    // Nobody can ask what a directory's owner is told of (fs/notify/dnotify): but F_NOTIFY makes who asks for it the owner, and for a directory that is
    // good for nothing else.
    if number != 0 && f.meta.is_dir() {
        cx.out.note(
            f.name(),
            "the program has asked to be told of changes in this directory (F_NOTIFY), of which nobody can ask: the thawed one is not told",
        );
    }
    let process = || cx.scenes.iter().find(|s| s.pid == number).map(|s| s.id);
    let thread = || {
        let mut threads = cx.scenes.iter().flat_map(|s| s.threads.iter().zip(&s.thread_ids));
        threads.find(|(status, _)| status.number("Pid") == Some(number as u64)).map(|(_, id)| *id)
    };
    let of_group = || cx.scenes.iter().find(|s| s.stat.field(5).is_ok_and(|group| group == i64::from(number)));
    let (kind, owner) = match kind {
        _ if number == 0 => (NOBODY, 0),
        F_OWNER_PID if let Some(id) = process() => (PROCESS, id),
        F_OWNER_TID if let Some(id) = thread() => (THREAD, id),
        F_OWNER_TID | F_OWNER_PID => (OUTSIDE, number as u64),
        // Of one process there is one group; in a family it has to be said which.
        _ if let Some(member) = of_group() => {
            (OWN_GROUP, if cx.scenes.len() > 1 { member.status.inner("NSpgid").unwrap_or(0) } else { 0 })
        }
        _ => (OUTSIDE, number as u64),
    };
    if kind == OUTSIDE {
        cx.out.note(f.name(), format!("{number}, whom it sends signals to, is not in the image"));
    }
    let signal = signal as u32;
    cx.out.add(d.id, Owner { kind, signal, owner, asynchronous: asynchronous.into(), reserved: 0 });
    Ok(())
}
