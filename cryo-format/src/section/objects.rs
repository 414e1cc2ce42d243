//! `OBJS`: what mappings (and descriptors of deleted files) refer to: files on disk, and memory objects that live only in the image.
//!
//! The content of an object that the image holds stands in `EXTS` and `DATA` chunks of the .freeze whose owner is the
//! object's local id; their addresses are byte offsets into the object.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Blob, Bytes, List, Raw};
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::Validate;

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
    /// Bytes of its huge TLB pages (hugetlbfs, MFD_HUGETLB, MAP_HUGETLB), a power of two; 0 for ordinary pages.
    pub huge_page: u64,
}

/// What an object is.
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ObjectKind(pub u32);

impl ObjectKind {
    /// A file that has a path.
    pub const FILE: Self = Self(0);
    /// A file whose name is gone: the content in the image is all there is.
    pub const DELETED: Self = Self(1);
    /// Shared anonymous memory (MAP_SHARED|MAP_ANONYMOUS, /dev/zero).
    pub const SHARED_ANONYMOUS: Self = Self(2);
    /// memfd_create(2).
    pub const MEMFD: Self = Self(3);
    /// SysV shared memory.
    pub const SYSV_SHM: Self = Self(4);
    /// The kernel's vDSO: its build-id tells whether another kernel's is the same.
    pub const VDSO: Self = Self(5);
}

impl Validate for Objects {
    fn validate(&self) -> Result<(), Violation> {
        for o in &self.objects {
            ensure(o.id != 0, Rule::OBJECT_ORDER, || "an object has the id 0")?;
            ensure(o.embedded <= 1, Rule::VALUE, || {
                format!("object {}: embedded is {}, not 0 or 1", o.id, o.embedded)
            })?;
            ensure(o.huge_page == 0 || o.huge_page.is_power_of_two(), Rule::VALUE, || {
                format!("object {}: no page has {} bytes", o.id, o.huge_page)
            })?;
        }
        ascending(&self.objects, |o| o.id)
            .map_err(|i| Rule::OBJECT_ORDER.broken(format!("object {} is out of order", self.objects[i].id)))
    }
}
