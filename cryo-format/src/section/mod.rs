//! The sections: one module per kind of state, and each is the spec page of its name (spec/sections/) in Rust.
//!
//! A section is the payload of one chunk. The table [`for_each_section!`](crate::for_each_section) is the only list of them:
//! reading, validating and printing are driven by it, so that a section that is added there and forgotten elsewhere does not compile.

use std::fmt::Debug;
use std::io::Cursor;

use binrw::{BinRead, BinWrite, Endian};
use serde::{Serialize, Serializer};

use crate::chunk::{ChunkFlags, ChunkHeader};
use crate::header::Profile;
use crate::index::{Index, STRUCTURAL_VERSION};
use crate::kind::Kind;
use crate::prim::Blob;
use crate::rules::{Rule, Violation, ensure};

pub mod actions;
pub mod aio;
pub mod ancillary;
pub mod attributes;
pub mod clocks;
pub mod cpu;
pub mod credentials;
pub mod descriptors;
pub mod epoll;
pub mod eventfd;
pub mod extents;
pub mod family;
pub mod fanotify;
pub mod files;
pub mod forked;
pub mod fs;
pub mod guards;
pub mod history;
pub mod inet;
pub mod inotify;
pub mod itimers;
pub mod ldt;
pub mod limits;
pub mod link;
pub mod locks;
pub mod mempolicy;
pub mod mm;
pub mod mqueues;
pub mod netlink;
pub mod notes;
pub mod objects;
pub mod origin;
pub mod outside;
pub mod owners;
pub mod packet;
pub mod parent;
pub mod peers;
pub mod pending;
pub mod pidfd;
pub mod pipes;
pub mod process;
pub mod ptimers;
pub mod ptys;
pub mod raw;
pub mod regs;
pub mod removed;
pub mod scheduling;
pub mod seccomp;
pub mod semundo;
pub mod sessions;
pub mod signalfd;
pub mod syscall;
pub mod terminal;
pub mod thread;
pub mod timerfd;
pub mod tls;
pub mod touched;
pub mod unix;
pub mod unread;
pub mod v1;
pub mod vmas;
pub mod xstate;

/// What a section promises beyond its layout. Every section says so, if only that there is nothing to say: `impl Validate for X {}`.
pub trait Validate {
    /// Does it keep the rules that can be checked without knowing any other section?
    fn validate(&self) -> Result<(), Violation> {
        Ok(())
    }

    /// The local ids that it names besides its owner, and what they are to be (rule 65). 0 names nothing. Those that have a rule of their own (51 to 55)
    /// are not among them.
    fn names(&self) -> Vec<(Named, u64)> {
        Vec::new()
    }
}

/// What a local id in a section stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// The owner of a section of this kind.
    OwnerOf(Kind),
    /// Who has a table of descriptors: the owner of a FDTB or FDTT section.
    Table,
    /// An object in OBJS.
    Object,
    /// An open file description.
    Description,
}

/// What the owner of a section is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole file: owner 0.
    Image,
    /// A process (it has a PROC section).
    Process,
    /// A thread (it has a THRD section).
    Thread,
    /// A process or a thread.
    ProcessOrThread,
    /// An open file description: an FDTB refers to it, or a section of another one does.
    Description,
    /// What has pages: a process or an object in OBJS.
    Memory,
}

/// A line of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// Name: of the module, the spec page and the printer.
    pub name: &'static str,
    /// Chunk kind.
    pub kind: Kind,
    /// Version.
    pub version: u16,
    /// The file that it stands in.
    pub profile: Profile,
    /// What its owner is.
    pub scope: Scope,
    /// Chunk flags.
    pub flags: ChunkFlags,
}

/// The payload of a chunk, by type.
pub trait Section:
    Validate
    + for<'a> BinRead<Args<'a> = ()>
    + for<'a> BinWrite<Args<'a> = ()>
    + Serialize
    + Clone
    + Debug
    + PartialEq
    + Into<AnySection>
    + 'static
{
    /// Its line of the registry.
    const INFO: Info;
    /// Chunk kind.
    const KIND: Kind = Self::INFO.kind;
    /// Version.
    const VERSION: u16 = Self::INFO.version;
    /// Chunk flags.
    const FLAGS: ChunkFlags = Self::INFO.flags;
    /// Name: of the module, the spec page and the printer.
    const NAME: &'static str = Self::INFO.name;
    /// The file that it stands in.
    const PROFILE: Profile = Self::INFO.profile;

    /// The section inside `any`, if it is of this type.
    fn of(any: &AnySection) -> Option<&Self>;

    /// From a payload, all of which it must take; validated.
    fn from_payload(payload: &[u8]) -> Result<Self, Violation> {
        let mut r = Cursor::new(payload);
        let section = Self::read_options(&mut r, Endian::Little, ()).map_err(|e| Rule::PAYLOAD.broken(plain(&e)))?;
        let left = payload.len() as u64 - r.position();
        ensure(left == 0, Rule::PAYLOAD, || format!("{left} bytes are left over behind the section"))?;
        section.validate()?;
        Ok(section)
    }

    /// From the payload of a chunk of this kind and version. An older version becomes this one; none if it is something else.
    fn from_chunk(kind: Kind, version: u16, payload: &[u8]) -> Result<Option<Self>, Violation> {
        match (kind == Self::KIND, version == Self::VERSION) {
            (false, _) => Ok(None),
            (true, true) => Self::from_payload(payload).map(Some),
            (true, false) => Ok(Self::of(&AnySection::parse(kind, version, payload)?.latest()).cloned()),
        }
    }

    /// As a payload, appended to `out`.
    fn append_payload(&self, out: &mut Vec<u8>) {
        let mut w = Cursor::new(out);
        w.set_position(w.get_ref().len() as u64);
        // Writing to memory fails only where a type refuses its own value, and none of ours does.
        let _ = self.write_options(&mut w, Endian::Little, ());
    }
}

/// binrw's message in one line.
fn plain(e: &binrw::Error) -> String {
    match e.root_cause() {
        binrw::Error::AssertFail { pos, message } => format!("{message}, at byte {pos:#x} of the payload"),
        binrw::Error::Io(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the payload ends inside a field".to_owned()
        }
        other => other.to_string().lines().collect::<Vec<_>>().join(" "),
    }
}

macro_rules! sections {
    ($($module:ident $ty:ident $kind:literal $version:literal $profile:ident $scope:ident $flags:ident;)*) => {
        /// Any payload, by its chunk's kind. As serde sees it: the fields of the section, or null for [`AnySection::Bulk`].
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs)] // each is the section of its name
        pub enum AnySection {
            $($ty($module::$ty),)*
            /// A version of before, as it stands in the file: see [`AnySection::latest`].
            Old(OldSection),
            /// `INDX`.
            Index(Index),
            /// `DATA` or `PAD`: bytes without fields.
            Bulk,
            /// A kind, or a version of a kind, that this program does not know.
            Unknown(Blob),
        }

        /// The registry: every kind in its latest version.
        pub const SECTIONS: &[Info] = &[$($module::$ty::INFO),*];

        $(
            impl Section for $module::$ty {
                const INFO: Info = Info {
                    name: stringify!($module),
                    kind: Kind(*$kind),
                    version: $version,
                    profile: Profile::$profile,
                    scope: Scope::$scope,
                    flags: ChunkFlags::$flags,
                };

                fn of(any: &AnySection) -> Option<&Self> {
                    match any {
                        AnySection::$ty(section) => Some(section),
                        _ => None,
                    }
                }
            }

            impl From<$module::$ty> for AnySection {
                fn from(section: $module::$ty) -> Self {
                    Self::$ty(section)
                }
            }
        )*

        impl AnySection {
            /// From the payload of a chunk of this kind and version; a version of before stays what it is.
            pub fn parse(kind: Kind, version: u16, payload: &[u8]) -> Result<Self, Violation> {
                match kind {
                    $($module::$ty::KIND if version == $version => $module::$ty::from_payload(payload).map(Self::$ty),)*
                    Kind::INDX => Index::from_payload(payload).map(Self::Index),
                    Kind::DATA | Kind::PAD => Ok(Self::Bulk),
                    _ => Ok(match OldSection::parse(kind, version, payload)? {
                        Some(old) => Self::Old(old),
                        None => Self::Unknown(payload.into()),
                    }),
                }
            }

            /// In the latest version of its kind.
            #[must_use]
            pub fn latest(self) -> Self {
                let mut section = self;
                while let Self::Old(old) = section {
                    section = old.next();
                }
                section
            }

            /// Its line of the registry; none for the container's own chunks and unknown ones.
            pub fn info(&self) -> Option<&'static Info> {
                match self {
                    $(Self::$ty(_) => Some(&$module::$ty::INFO),)*
                    Self::Old(old) => Some(old.info()),
                    _ => None,
                }
            }

            /// As a payload, appended to `out`.
            pub fn append_payload(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$ty(section) => section.append_payload(out),)*
                    Self::Old(old) => old.append_payload(out),
                    Self::Index(index) => out.extend_from_slice(&index.to_payload()),
                    Self::Bulk => {}
                    Self::Unknown(bytes) => out.extend_from_slice(bytes),
                }
            }

            /// Does it keep the rules of its section?
            pub fn validate(&self) -> Result<(), Violation> {
                match self {
                    $(Self::$ty(section) => section.validate(),)*
                    Self::Old(old) => old.validate(),
                    Self::Index(_) | Self::Bulk | Self::Unknown(_) => Ok(()),
                }
            }

            /// What [`Validate::names`] says of it in its latest version.
            pub fn names(&self) -> Vec<(Named, u64)> {
                match self {
                    $(Self::$ty(section) => section.names(),)*
                    _ => Vec::new(),
                }
            }
        }

        impl Serialize for AnySection {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$ty(section) => section.serialize(s),)*
                    Self::Old(old) => old.serialize(s),
                    Self::Index(index) => index.serialize(s),
                    Self::Bulk => s.serialize_none(),
                    Self::Unknown(bytes) => bytes.serialize(s),
                }
            }
        }
    };
}

for_each_section!(sections);

macro_rules! old_sections {
    ($($variant:ident $folder:ident $module:ident $ty:ident $kind:literal $version:literal $profile:ident $scope:ident $flags:ident
        => $($next:ident)::+;)*) => {
        /// A section in a version of before.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        #[non_exhaustive]
        #[allow(missing_docs)] // each is the section of its name and version
        pub enum OldSection {
            $($variant($folder::$module::$ty),)*
        }

        /// The registry of versions of before.
        pub const OLD_SECTIONS: &[Info] = &[$($folder::$module::$ty::INFO),*];

        $(
            impl Section for $folder::$module::$ty {
                const INFO: Info = Info {
                    name: stringify!($module),
                    kind: Kind(*$kind),
                    version: $version,
                    profile: Profile::$profile,
                    scope: Scope::$scope,
                    flags: ChunkFlags::$flags,
                };

                fn of(any: &AnySection) -> Option<&Self> {
                    match any {
                        AnySection::Old(OldSection::$variant(section)) => Some(section),
                        _ => None,
                    }
                }
            }

            impl From<$folder::$module::$ty> for AnySection {
                fn from(section: $folder::$module::$ty) -> Self {
                    Self::Old(OldSection::$variant(section))
                }
            }
        )*

        impl OldSection {
            fn parse(kind: Kind, version: u16, payload: &[u8]) -> Result<Option<Self>, Violation> {
                match (kind, version) {
                    $(($folder::$module::$ty::KIND, $version) => {
                        $folder::$module::$ty::from_payload(payload).map(|section| Some(Self::$variant(section)))
                    })*
                    _ => Ok(None),
                }
            }

            /// In the version that came next.
            pub fn next(self) -> AnySection {
                match self {
                    $(Self::$variant(section) => <$($next)::+>::from(section).into(),)*
                }
            }

            fn info(&self) -> &'static Info {
                match self {
                    $(Self::$variant(_) => &$folder::$module::$ty::INFO,)*
                }
            }

            fn append_payload(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(section) => section.append_payload(out),)*
                }
            }

            fn validate(&self) -> Result<(), Violation> {
                match self {
                    $(Self::$variant(section) => section.validate(),)*
                }
            }
        }
    };
}

for_each_old_section!(old_sections);

/// The registry's line for `kind`, in its latest version.
pub fn info(kind: Kind) -> Option<&'static Info> {
    SECTIONS.iter().find(|info| info.kind == kind)
}

/// Every line for `kind`, the latest version first.
fn versions(kind: Kind) -> impl Iterator<Item = &'static Info> {
    SECTIONS.iter().chain(OLD_SECTIONS.iter().rev()).filter(move |info| info.kind == kind)
}

/// May this chunk stand in a file of this profile, and can a program of this version read it?
pub fn admit(header: &ChunkHeader, here: Profile) -> Result<(), Violation> {
    let (kind, version) = (header.kind, header.version);
    // Of a version that is not known, what is known of its kind counts.
    let line = versions(kind).find(|info| info.version == version).or_else(|| info(kind));
    let (known, flags, profile) = match (line, kind) {
        (Some(info), _) => (info.version, info.flags, Some(info.profile)),
        (None, Kind::DATA | Kind::END) => (STRUCTURAL_VERSION, ChunkFlags::CRITICAL, None),
        (None, Kind::PAD | Kind::INDX) => (STRUCTURAL_VERSION, ChunkFlags::NONE, None),
        (None, _) => {
            return ensure(!header.flags.is_critical(), Rule::CRITICAL, || {
                format!("{kind} is critical and unknown to this program: use a newer Cryo")
            });
        }
    };
    if version != known {
        // INDX and PAD of another version cannot be passed over: the footer refers to one, DATA relies on the other.
        let needed = header.flags.is_critical() || flags.is_critical() || kind.is_structural();
        return ensure(!needed, Rule::VERSION, || {
            format!(
                "version {version} of {kind} is unknown to this program, which reads versions up to {known}: use a newer Cryo"
            )
        });
    }
    let owned = !kind.is_structural() || kind == Kind::DATA;
    ensure(owned || header.owner == 0, Rule::OWNER, || format!("its owner is {}, not 0", header.owner))?;
    // That only DATA has a codec is rule 15.
    ensure(header.flags.of_kind() == flags, Rule::FLAGS, || {
        format!("its flags are {:#06x}, not {:#06x}", header.flags.0, flags.0)
    })?;
    let at_home = profile.is_none_or(|profile| profile == here);
    ensure(at_home, Rule::MISPLACED, || format!("{kind} does not belong into a .{here}"))
}
