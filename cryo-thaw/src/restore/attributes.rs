//! `ATTR`: owners, times and extended attributes of files that only the image holds.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use cryo_format::section::attributes::InodeAttributes;
use cryo_format::section::objects::Object;
use rustix::fs::{Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};

use crate::Result;
use crate::error::About;
use crate::notes::Notes;

/// Gives them to a file through a descriptor of it, when its content is there. What we may not give is said: the content is not at stake.
pub fn restore(
    notes: &Notes,
    fd: u32,
    ours: &OwnedFd,
    object: &Object,
    wanted: Option<&InodeAttributes>,
) -> Result<()> {
    let lost = |what: String, e: rustix::io::Errno| {
        notes.add(format!("fd {fd} ({}): its {what} cannot be given: {e}", object.path));
    };
    if let Some(wanted) = wanted {
        let meta = ours.try_clone().map(std::fs::File::from).and_then(|f| f.metadata());
        let meta = meta.about(|| format!("looking at fd {fd}"))?;
        if (meta.uid(), meta.gid()) != (wanted.uid, wanted.gid) {
            let owner = (Uid::from_raw(wanted.uid), Gid::from_raw(wanted.gid));
            if let Err(e) = rustix::fs::fchown(ours, Some(owner.0), Some(owner.1)) {
                lost(format!("owner {}:{}", wanted.uid, wanted.gid), e);
            }
        }
        for attribute in &wanted.extended {
            if let Err(e) = rustix::fs::fsetxattr(ours, &attribute.name[..], &attribute.value, XattrFlags::empty()) {
                lost(format!("attribute {}", attribute.name), e);
            }
        }
    }
    // A change of owner takes set-user-id away.
    rustix::fs::fchmod(ours, Mode::from_raw_mode(object.mode & 0o7777))
        .about(|| format!("fd {fd}: setting its mode"))?;
    if let Some(wanted) = wanted {
        let time = |tv_sec, nsec: u64| Timespec { tv_sec, tv_nsec: nsec as _ };
        let times = Timestamps {
            last_access: time(wanted.atime_sec, wanted.atime_nsec),
            last_modification: time(object.mtime_sec, object.mtime_nsec),
        };
        if let Err(e) = rustix::fs::futimens(ours, &times) {
            lost("times".into(), e);
        }
    }
    Ok(())
}
