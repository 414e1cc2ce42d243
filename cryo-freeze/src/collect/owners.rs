//! `OWNR`: who is told when a file can be read or written.

use cryo_format::section::Section;
use cryo_format::section::owners::{NOBODY, OUTSIDE, OWN_GROUP, Owner, PROCESS, THREAD};
use cryo_format::section::thread::Thread;

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
    let thread = || {
        let mut threads = cx.out.sections.iter().filter_map(|(id, s)| Some((*id, Thread::of(s)?)));
        threads.find(|(_, t)| t.tid == number as u64).map(|(id, _)| id)
    };
    let own_group = cx.scene.stat.field(5)?;
    let (kind, owner) = match kind {
        _ if number == 0 => (NOBODY, 0),
        F_OWNER_PID if number == cx.scene.pid => (PROCESS, cx.scene.id),
        F_OWNER_TID if let Some(id) = thread() => (THREAD, id),
        F_OWNER_TID | F_OWNER_PID => (OUTSIDE, number as u64),
        _ if i64::from(number) == own_group => (OWN_GROUP, 0),
        _ => (OUTSIDE, number as u64),
    };
    if kind == OUTSIDE {
        cx.out.note(f.name(), format!("{number}, whom it sends signals to, is not in the image"));
    }
    let signal = signal as u32;
    cx.out.add(d.id, Owner { kind, signal, owner, asynchronous: asynchronous.into(), reserved: 0 });
    Ok(())
}
