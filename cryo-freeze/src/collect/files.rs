//! `FILE`: open files that a path leads to, and deleted ones whose content the image takes along.

use std::fs::File;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use cryo_format::prim::Addr;
use cryo_format::section::files::OpenFile;

use super::descriptors::{Cx, Description};
use super::refuse;
use crate::Result;
use crate::error::About;

/// The memory devices (null, zero, full, random, urandom): major number 1.
const MEM_MAJOR: u32 = 1;

/// Adds the description if it is a file.
pub fn collect(cx: &mut Cx<'_>, d: &Description<'_>) -> Result<bool> {
    let f = d.first();
    let kind = f.meta.file_type();
    let carried =
        kind.is_file() || kind.is_dir() || kind.is_char_device() && rustix::fs::major(f.meta.rdev()) == MEM_MAJOR;
    if !carried || f.link.starts_with(b"/memfd:") || !f.link.starts_with(b"/") {
        return Ok(false);
    }
    let bare = f.link.strip_suffix(b" (deleted)").unwrap_or(&f.link);
    let deleted = f.meta.nlink() == 0;
    let object = if !deleted {
        0
    } else if kind.is_file() {
        let path = format!("/proc/{}/fd/{}", cx.scene.pid, f.fd);
        let file = File::open(&path).about(|| format!("reading the deleted file under {}", f.name()))?;
        cx.objects.deleted(bare, &f.meta, file, cx.ids, cx.out)
    } else {
        return refuse(format!("{} is a deleted directory: use --fd {}=null|FILE", f.name(), f.fd));
    };
    cx.out.add(
        d.id,
        OpenFile {
            path: if deleted { bare } else { &f.link }.to_vec().into(),
            open_flags: Addr(f.info.flags() & !(libc::O_CLOEXEC as u64)),
            offset: f.info.number("pos").unwrap_or(0) as u64,
            dev: f.meta.dev(),
            ino: f.meta.ino(),
            rdev: f.meta.rdev(),
            mode: f.meta.mode(),
            reserved: 0,
            size: if kind.is_file() { f.meta.len() } else { 0 },
            mtime_sec: f.meta.mtime(),
            mtime_nsec: f.meta.mtime_nsec() as u64,
            object,
        },
    );
    Ok(true)
}
