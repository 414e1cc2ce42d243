//! `RMVD`: directories and symbolic links that were removed while the process has them open, or works there.

use std::fs::Metadata;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cryo_format::section::removed::Removed;
use cryo_tracee::proc;

use super::Scene;
use super::description::{Cx, Fd};
use crate::Result;
use crate::error::About;

const DELETED: &[u8] = b" (deleted)";

/// Is this what the kernel shows of an inode without a name? A file may be called so, too.
pub(super) fn is(link: &[u8], meta: &Metadata) -> bool {
    let path = Path::new(std::ffi::OsStr::from_bytes(link));
    link.ends_with(DELETED)
        && !path.symlink_metadata().is_ok_and(|m| (m.dev(), m.ino()) == (meta.dev(), meta.ino()))
        && (meta.is_dir() || meta.is_symlink() && meta.nlink() == 0)
}

/// Adds the inode of a descriptor, once for all of its descriptions. False if it is no removed directory or link.
pub fn collect(cx: &mut Cx<'_>, f: &Fd) -> Result<bool> {
    if !is(&f.link, &f.meta) {
        return Ok(false);
    }
    let key = (f.meta.dev(), f.meta.ino());
    if cx.seen.contains_key(&key) {
        return Ok(true);
    }
    let held = cx.take(f)?;
    let target = if f.meta.is_symlink() { target(&held, f)? } else { Vec::new() };
    let works_here = cx.scenes.iter().filter_map(working_directory).any(|(_, meta)| (meta.dev(), meta.ino()) == key);
    let id = add(cx, &f.link, &f.meta, target, works_here);
    cx.seen.insert(key, Some(id));
    let what =
        if f.meta.is_symlink() { "a link to the same" } else { "an empty one, with the same owner and permissions," };
    cx.out.note(f.name(), format!("{what} takes its place, and is removed, too"));
    Ok(true)
}

/// Adds the working directories that were removed and that no descriptor has.
pub fn cwd(cx: &mut Cx<'_>) {
    for (link, meta) in cx.scenes.iter().filter_map(working_directory) {
        let key = (meta.dev(), meta.ino());
        if !is(&link, &meta) || cx.seen.contains_key(&key) {
            continue;
        }
        let id = add(cx, &link, &meta, Vec::new(), true);
        cx.seen.insert(key, Some(id));
        let what = format!("working directory {}", String::from_utf8_lossy(&link));
        cx.out.note(what, "an empty one, with the same owner and permissions, takes its place, and is removed, too");
    }
}

fn working_directory(scene: &Scene<'_>) -> Option<(Vec<u8>, Metadata)> {
    let pid = scene.live_tid;
    Some((proc::link(pid, "cwd").ok()?, std::fs::metadata(format!("/proc/{pid}/cwd")).ok()?))
}

fn add(cx: &mut Cx<'_>, link: &[u8], meta: &Metadata, target: Vec<u8>, cwd: bool) -> u64 {
    let id = cx.ids.fresh();
    let section = Removed {
        path: link.strip_suffix(DELETED).unwrap_or(link).to_vec().into(),
        target: target.into(),
        dev: meta.dev(),
        ino: meta.ino(),
        mode: meta.mode(),
        uid: meta.uid(),
        gid: meta.gid(),
        cwd: cwd.into(),
    };
    cx.out.add(id, section);
    id
}

/// Where a link leads that only its descriptor leads to.
fn target(held: &OwnedFd, f: &Fd) -> Result<Vec<u8>> {
    let target =
        rustix::fs::readlinkat(held, "", Vec::new()).about(|| format!("reading the link under {}", f.name()))?;
    Ok(target.into_bytes())
}
