//! `ATTR`: owners, times and extended attributes of files that only the image holds.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;

use cryo_format::section::attributes::{ExtendedAttribute, InodeAttributes};

/// Labels that belong to the machine, not to the file.
const OF_THE_MACHINE: [&[u8]; 3] = [b"security.selinux", b"security.ima", b"security.evm"];

/// What the inode under `file`, the object of this id, has besides its content.
pub fn of(object: u64, file: &File, meta: &Metadata) -> InodeAttributes {
    let names = list(|room| rustix::fs::flistxattr(file, room));
    let names = names.split(|b| *b == 0).filter(|name| !name.is_empty() && !OF_THE_MACHINE.contains(name));
    // One that may not be read is not the program's to lose.
    let extended = names.filter_map(|name| {
        let mut room = vec![0; 64 << 10];
        let len = rustix::fs::fgetxattr(file, name, &mut room[..]).ok()?;
        Some(ExtendedAttribute { name: name.to_vec().into(), value: room[..len].to_vec().into() })
    });
    InodeAttributes {
        object,
        uid: meta.uid(),
        gid: meta.gid(),
        atime_sec: meta.atime(),
        atime_nsec: meta.atime_nsec() as u64,
        extended: extended.collect(),
    }
}

/// A list of names; none where the file system has no such attributes.
fn list(ask: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> Vec<u8> {
    // XATTR_LIST_MAX of linux/limits.h.
    let mut room = vec![0; 64 << 10];
    let len = ask(&mut room).unwrap_or(0);
    room.truncate(len);
    room
}
