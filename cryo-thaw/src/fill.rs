//! Pages into the host.
//!
//! From a file several workers fill different batches at once: first touch of memory is what takes time, and the kernel does it for all in parallel.
//! Each batch goes through one buffer that fits the cache, so that its checksum and its digest are right before a byte of it reaches the host.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;

use cryo_format::section::objects::{Object, ObjectKind};
use cryo_format::section::vmas::Vma;
use cryo_tracee::proc::Meminfo;
use cryo_tracee::{Host, Memory};

use crate::Result;
use crate::error::{About, RefusalKind, refuse};
use crate::ice::Pages;
use crate::kept_pages::Keep;
use crate::notes::Notes;
use crate::remap::Shape;

mod place;
mod sources;

use place::Work;
pub(crate) use sources::data;

pub(crate) const PAGE: u64 = 4096;

/// A process that gets pages.
pub struct Target<'a> {
    /// Its local id.
    pub process: u64,
    /// Its memory.
    pub memory: &'a Memory,
    /// Its mappings.
    pub vmas: &'a [Vma],
    /// What became of them.
    pub shape: &'a Shape,
}

/// Whose pages are filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Those of this process. They come before those of the processes that are born of it.
    Of(u64),
    /// All that are left: of the only process, and of objects.
    Rest,
}

/// Where pages go.
pub struct Filler<'a> {
    /// The processes.
    pub targets: &'a [Target<'a>],
    /// Objects with content of their own: deleted files, as descriptors of ours.
    pub files: &'a HashMap<u64, File>,
    /// Takes what is to be told.
    pub notes: &'a Notes,
    /// Compare the digests of pages; their checksums always are.
    pub verify: bool,
    /// What is filled in by others, later (see `lazy.rs`): addresses, of the only process.
    pub later: &'a [(u64, u64)],
    /// What is not filled in, but kept.
    pub keep: Option<&'a Keep>,
}

/// Fills in those whose turn it is. When it returns, each of their checksums and digests was right.
pub fn fill(pages: &mut Pages, filler: &Filler<'_>, turn: Turn) -> Result<()> {
    if matches!(pages, Pages::Kept { kept, .. } if kept.is_empty()) {
        return Ok(());
    }
    let work = Work::of(filler, turn);
    let below = match pages {
        Pages::File { image, done } => {
            sources::from_file(image, done, &work, turn)?;
            image.below()
        }
        Pages::Pipe { stream, next, below } => {
            sources::from_pipe(stream, next, &work, turn)?;
            below.as_deref()
        }
        Pages::Kept { kept, done } => return sources::from_kept(kept, done, &work, turn),
    };
    sources::from_parents(below, &work)
}

/// Bytes that this machine can give to a process now (proc_meminfo(5)); as much as it likes where it does not say.
pub(crate) fn available() -> u64 {
    let meminfo = Meminfo::now();
    let swap = meminfo.bytes("SwapFree").unwrap_or(0);
    meminfo.bytes("MemAvailable").map_or(u64::MAX, |memory| memory + swap)
}

/// More is asked for than there is.
pub(crate) fn lacks<T>(bytes: u64, left: u64) -> Result<T> {
    refuse(
        RefusalKind::Memory,
        format!(
            "the image asks for {} MiB of memory for pages that it does not hold, and this machine has {} MiB left",
            bytes >> 20,
            left >> 20
        ),
    )
}

/// Cuts the files of objects to their sizes (their last page was stored whole) and gives deleted ones their mode, which may forbid what filling
/// them took.
pub fn trim(host: &Host, files: &HashMap<u64, File>, objects: &[Object]) -> Result<()> {
    for o in objects {
        if let Some(file) = files.get(&o.id) {
            file.set_len(o.size).about(|| format!("process {}: cutting {} to its size", host.pid(), o.path))?;
            if o.kind == ObjectKind::DELETED {
                let mode = std::fs::Permissions::from_mode(o.mode & 0o7777);
                file.set_permissions(mode).about(|| format!("process {}: mode of {}", host.pid(), o.path))?;
            }
        }
    }
    Ok(())
}
