//! `OBJS` version 1: what mappings (and descriptors of deleted files) refer to: files on disk, and memory objects that live only in the image.
//!
//! The content of an object that the image holds stands in `EXTS` and `DATA` chunks of the .freeze whose owner is the
//! object's local id; their addresses are byte offsets into the object.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Blob, Bytes, List, Raw};
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::objects::ObjectKind;
use crate::section::{Validate, objects};

/// All objects of the set.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Objects {
    /// The objects, sorted by id.
    pub objects: List<Object>,
}

/// A file, or memory with an identity of its own.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Object {
    /// Local id, unique in the set over processes, threads, objects and descriptions; not 0.
    pub id: u64,
    /// One of the constants of [`ObjectKind`].
    pub kind: ObjectKind,
    /// Is its content in the .freeze? (0 or 1)
    pub embedded: u32,
    /// Path as the kernel shows it, without the suffix ` (deleted)`; the name of a memfd; empty for anonymous memory.
    pub path: Bytes,
    /// Device number as stat(2) gives it.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// File type and permissions (st_mode).
    pub mode: u32,
    /// F_GET_SEALS of a memfd; 0 otherwise.
    pub seals: u32,
    /// Size in bytes.
    pub size: u64,
    /// Modification time: seconds.
    pub mtime_sec: i64,
    /// Modification time: nanoseconds.
    pub mtime_nsec: u64,
    /// The GNU build-id of an ELF file; empty where there is none.
    pub build_id: Blob,
    /// BLAKE3 of the whole file; zero where it was not computed (what is embedded needs none).
    pub digest: Raw<32>,
    /// SysV shared memory: key and shmid as two words; otherwise zero.
    pub shm: Addr,
}

impl Validate for Objects {
    fn validate(&self) -> Result<(), Violation> {
        for o in &self.objects {
            ensure(o.id != 0, Rule::OBJECT_ORDER, || "an object has the id 0")?;
            ensure(o.embedded <= 1, Rule::VALUE, || {
                format!("object {}: embedded is {}, not 0 or 1", o.id, o.embedded)
            })?;
        }
        ascending(&self.objects, |o| o.id)
            .map_err(|i| Rule::OBJECT_ORDER.broken(format!("object {} is out of order", self.objects[i].id)))
    }
}

impl From<Objects> for objects::Objects {
    /// Releases that wrote version 1 refused files of huge TLB pages; of anonymous ones the mapping tells.
    fn from(v1: Objects) -> Self {
        let object = |o: Object| objects::Object {
            id: o.id,
            kind: o.kind,
            embedded: o.embedded,
            path: o.path,
            dev: o.dev,
            ino: o.ino,
            mode: o.mode,
            seals: o.seals,
            size: o.size,
            mtime_sec: o.mtime_sec,
            mtime_nsec: o.mtime_nsec,
            build_id: o.build_id,
            digest: o.digest,
            shm: o.shm,
            huge_page: 0,
        };
        Self { objects: v1.objects.0.into_iter().map(object).collect() }
    }
}
