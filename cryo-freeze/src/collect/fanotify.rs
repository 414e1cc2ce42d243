//! `FANO`: marked files.

use std::collections::HashMap;

use std::os::unix::ffi::OsStrExt;

use cryo_format::prim::Addr;
use cryo_format::section::fanotify::{Fanotify, FanotifyMark};

use super::description::{Cx, Description};
use super::inodes::{self, Inode};
use super::{RefusalKind, refuse};
use crate::Result;

const FAN_MARK_INODE: u32 = 0;
const FAN_MARK_MOUNT: u32 = 0x10;
const FAN_MARK_FILESYSTEM: u32 = 0x100;

/// Adds the group with its marks.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if !f.is_anon("fanotify") {
        return Ok(false);
    }
    let mut group = Fanotify { open_flags: f.open_flags(), ..Fanotify::default() };
    let mut wanted = Vec::new();
    let lines: Vec<&str> = f.info.0.lines().filter_map(|l| l.strip_prefix("fanotify ")).collect();
    wanted.extend(lines.iter().filter(|l| l.starts_with("ino:")).filter_map(|l| Inode::parse(l)));
    let found = if wanted.is_empty() { HashMap::default() } else { inodes::find(cx.of(f), &wanted) };
    let mounts = inodes::mounts(cx.of(f).live_tid);
    for line in lines {
        let value = |key: &str| line.split_whitespace().find_map(|w| w.strip_prefix(key)?.strip_prefix(':'));
        let hex = |key| u64::from_str_radix(value(key)?, 16).ok();
        if let (Some(init), Some(event)) = (hex("flags"), hex("event-flags")) {
            (group.init_flags, group.event_flags) = (init as u32, event as u32);
            continue;
        }
        let at = |is: &dyn Fn(&inodes::Mount) -> bool| {
            mounts.iter().find(|m| is(m)).map(|m| m.path.as_os_str().as_bytes().to_vec())
        };
        let place = if line.starts_with("ino:") {
            Inode::parse(line).and_then(|i| found.get(&i).cloned()).map(|path| (FAN_MARK_INODE, path))
        } else if let Some(id) = hex("mnt_id") {
            at(&|m| m.id == id).map(|path| (FAN_MARK_MOUNT, path))
        } else if let Some(dev) = hex("sdev") {
            at(&|m| m.dev == inodes::device(dev)).map(|path| (FAN_MARK_FILESYSTEM, path))
        } else {
            return refuse(
                RefusalKind::Machine,
                format!("{}: /proc shows its marks in an unknown way: {line}", f.name()),
            );
        };
        let Some((kind, path)) = place else {
            cx.why = Some(format!("the path of what it marks was not found ({line})"));
            return Ok(false);
        };
        let bits = |key| hex(key).unwrap_or(0);
        let (mask, ignored) = (Addr(bits("mask")), Addr(bits("ignored_mask")));
        group.marks.0.push(FanotifyMark { kind, flags: bits("mflags") as u32, mask, ignored, path: path.into() });
    }
    let queued = rustix::io::ioctl_fionread(cx.take(f)?).unwrap_or(0);
    if queued > 0 {
        cx.out.note(f.name(), "events that it had not read yet are not in the image");
    }
    cx.out.add(d.id, group);
    Ok(true)
}
