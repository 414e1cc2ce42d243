//! `INOT`: watched files.

use std::collections::HashMap;

use cryo_format::section::inotify::{Inotify, InotifyWatch};

use super::description::{Cx, Description};
use super::inodes::{self, Inode};
use super::{RefusalKind, refuse};
use crate::Result;

/// Adds the watches, with the paths of what they watch.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if !f.is_anon("inotify") {
        return Ok(false);
    }
    let mut seen = Vec::new();
    for line in f.info.0.lines().filter_map(|l| l.strip_prefix("inotify ")) {
        let value = |key: &str| line.split_whitespace().find_map(|w| w.strip_prefix(key)?.strip_prefix(':'));
        let hex = |key| u32::from_str_radix(value(key)?, 16).ok();
        match (hex("wd"), hex("mask"), Inode::parse(line)) {
            (Some(wd), Some(mask), Some(inode)) => seen.push((wd, mask, inode)),
            _ => {
                return refuse(
                    RefusalKind::Machine,
                    format!("{}: /proc shows its watches in an unknown way: {line}", f.name()),
                );
            }
        }
    }
    seen.sort_by_key(|(wd, ..)| *wd);
    let mut wanted: Vec<Inode> = seen.iter().map(|(.., inode)| inode.clone()).collect();
    wanted.sort_by_key(|i| (i.dev, i.ino));
    wanted.dedup();
    let found = if wanted.is_empty() { HashMap::default() } else { inodes::find(cx.of(f), &wanted) };
    let mut watches = Vec::with_capacity(seen.len());
    for (wd, mask, inode) in seen {
        let Some(path) = found.get(&inode) else {
            cx.why =
                Some(format!("it watches inode {} of device {:x}, whose path was not found", inode.ino, inode.dev));
            return Ok(false);
        };
        watches.push(InotifyWatch { wd, mask, path: path.clone().into(), ino: inode.ino });
    }
    let queued = rustix::io::ioctl_fionread(cx.take(f)?).unwrap_or(0);
    if queued > 0 {
        cx.out.note(f.name(), format!("{queued} bytes of events that it had not read yet are not in the image"));
    }
    cx.out.add(d.id, Inotify { open_flags: f.open_flags(), watches: watches.into() });
    Ok(true)
}
