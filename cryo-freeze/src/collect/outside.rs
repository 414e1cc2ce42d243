//! `OUTS`: descriptors whose other end is not in the image.

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt;

use cryo_format::prim::Addr;
use cryo_format::section::outside::{Instead, Outside, Policy};
use cryo_format::section::unread::Unread;

use super::description::{Cx, Description, Fd};
use super::{RefusalKind, pipes, ptys, refuse, terminal};
use crate::Result;

fn section(f: &Fd, policy: Policy) -> Outside {
    Outside {
        what: f.link.clone().into(),
        open_flags: Addr(f.info.flags() & !(libc::O_CLOEXEC as u64)),
        policy,
        inherit: f.fd as u32,
        path: Vec::new().into(),
    }
}

/// What the person asked for with --fd, and `why` it had to be asked for: of a description's descriptors those of one number, which several processes may
/// have. One that is closed has no place in the table.
pub fn by_rule<'c>(cx: &mut Cx<'c>, fds: &[&'c Fd], instead: &Instead, why: &str) {
    let Some(f) = fds.first() else { return };
    // The refusal that it answers names the descriptor, too, and the way out that has been taken.
    let why = why.split(": use --fd").next().unwrap_or_default();
    let name = f.short_name();
    let why = why.strip_prefix(&name[..]).and_then(|rest| Some(rest.split_once(": ")?.1)).unwrap_or(why);
    let colon = if why.is_empty() { "" } else { ": " };
    cx.out.note(f.name(), format!("replaced by {instead} (--fd){colon}{why}"));
    let section = match instead {
        Instead::Close => return,
        Instead::Inherit => section(f, Policy::INHERIT),
        Instead::Null => section(f, Policy::NULL),
        Instead::File(path) => Outside { path: path.clone(), ..section(f, Policy::PATH) },
    };
    let id = cx.ids.fresh();
    cx.out.add(id, section);
    unread(cx, f, id);
    for f in fds {
        cx.place(f, id);
    }
}

/// What waits in a pipe that something else replaces: its writer will not write it again. The thawer puts it in front where it can.
pub fn unread(cx: &mut Cx<'_>, f: &Fd, id: u64) {
    let reads = f.info.flags() & libc::O_ACCMODE as u64 != libc::O_WRONLY as u64;
    let Some(end) = reads.then(|| cx.take(f).ok()).flatten() else { return };
    let waiting = rustix::io::ioctl_fionread(&end).unwrap_or(0);
    if waiting == 0 {
        return;
    }
    if terminal::is(f) {
        cx.out.note(f.name(), format!("{waiting} bytes typed ahead stay with that terminal"));
        return;
    }
    let pipe = f.meta.file_type().is_fifo();
    let content = if pipe { pipes::waiting(&end, &f.name()).ok() } else { None };
    match content {
        Some(content) => {
            cx.out.note(
                f.name(),
                format!("{waiting} bytes that the program had not read wait in it: they are in the image"),
            );
            cx.out.add(id, Unread { content: content.into() });
        }
        None => cx.out.note(
            f.name(),
            format!("{waiting} bytes that the program had not read wait in it, and are not in the image"),
        ),
    }
}

/// A description that cannot be carried: standard descriptors become the thawer's own, a terminal becomes its terminal, the rest is refused.
///
/// Standard descriptors that share one description (a terminal is open once, for all three) are told apart from here on: whoever thaws may
/// have redirected one of them.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<()> {
    let mut standard: BTreeMap<i32, u64> = BTreeMap::new();
    // What has no inode of its own is the program's, not a way to the outside.
    let is_standard = |f: &Fd| f.fd <= 2 && !f.link.starts_with(b"anon_inode:");
    for f in d.fds.iter().filter(|f| is_standard(f)) {
        let id = match standard.get(&f.fd) {
            // Another process has it, too.
            Some(id) => *id,
            None => {
                let id = cx.ids.fresh();
                cx.out.add(id, section(f, Policy::INHERIT));
                if standard.is_empty() {
                    unread(cx, f, id);
                }
                standard.insert(f.fd, id);
                id
            }
        };
        cx.place(f, id);
    }
    let mut shared = standard.values().next().copied();
    for f in d.fds.iter().filter(|f| !is_standard(f)) {
        let id = match shared {
            Some(id) => id,
            // One of the program's own that could not be carried is nobody's to replace.
            None if terminal::is(f) && !ptys::inside(cx, f) => {
                cx.out.add(d.id, section(f, Policy::TERMINAL));
                *shared.insert(d.id)
            }
            None => {
                let why = cx.why.as_deref().unwrap_or("what is behind it is outside the image");
                return refuse(
                    RefusalKind::Descriptor,
                    format!(
                        "{} of {}: {why}: use --fd {}=inherit|null|close|FILE",
                        f.short_name(),
                        cx.of(f).name(),
                        f.fd
                    ),
                );
            }
        };
        cx.place(f, id);
    }
    Ok(())
}
