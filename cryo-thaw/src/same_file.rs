//! Is a file the very one that was frozen?

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;

use cryo_format::section::objects::Object;
use cryo_tracee::elf::build_id_of;

/// A file of this size is hashed even if it is nothing but a hole.
const SMALL: u64 = 1 << 30;
/// How many times what it takes on the disk a larger one may be: file systems compress, and an image may name a hole of 8 TiB.
const SPARSE: u64 = 16;

/// BLAKE3 of the files that were asked for, by device and inode: an image may name one file as often as it likes.
#[derive(Default)]
pub struct Hashes(HashMap<(u64, u64), Option<[u8; 32]>>);

impl Hashes {
    fn of(&mut self, file: &File, meta: &Metadata) -> Option<[u8; 32]> {
        *self.0.entry((meta.dev(), meta.ino())).or_insert_with(|| {
            if meta.len() > SMALL && meta.len() / SPARSE > meta.blocks() * 512 {
                return None;
            }
            let mut hasher = blake3::Hasher::new();
            // One that grows meanwhile is another file.
            hasher.update_reader(std::io::Read::take(file, meta.len())).ok()?;
            Some(*hasher.finalize().as_bytes())
        })
    }
}

/// Has the file the content that was frozen? By inode and time of change, by build-id, or by hash.
pub fn same_file(object: &Object, file: &File, hashes: &mut Hashes) -> bool {
    let Ok(meta) = file.metadata() else { return false };
    if !meta.is_file() || meta.len() != object.size {
        return false;
    }
    let untouched = (meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec() as u64)
        == (object.dev, object.ino, object.mtime_sec, object.mtime_nsec);
    let same_build = || !object.build_id.is_empty() && build_id_of(file) == object.build_id[..];
    let mut same_hash = || object.digest.0 != [0; 32] && hashes.of(file, &meta) == Some(object.digest.0);
    untouched || same_build() || same_hash()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryo_format::prim::Raw;

    fn object(file: &tempfile::NamedTempFile, digest: [u8; 32]) -> Object {
        let size = file.as_file().metadata().unwrap().len();
        Object { size, digest: Raw(digest), ..Object::default() }
    }

    #[test]
    fn a_hole_of_eight_tebibytes_is_not_hashed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        // Half of what ext4 can hold.
        file.as_file().set_len(8 << 40).unwrap();
        let mut hashes = Hashes::default();
        assert!(!same_file(&object(&file, [1; 32]), &file.reopen().unwrap(), &mut hashes));
    }

    #[test]
    fn a_file_is_known_by_its_hash_and_hashed_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "content").unwrap();
        let right = *blake3::hash(b"content").as_bytes();
        let mut hashes = Hashes::default();
        assert!(!same_file(&object(&file, [1; 32]), &file.reopen().unwrap(), &mut hashes));
        // Of the same size, and not looked at again.
        std::fs::write(file.path(), "CONTENT").unwrap();
        assert!(same_file(&object(&file, right), &file.reopen().unwrap(), &mut hashes));
        assert!(!same_file(&object(&file, right), &file.reopen().unwrap(), &mut Hashes::default()));
    }
}
