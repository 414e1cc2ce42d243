//! The printers: one module per section, of the section's own name. The table `for_each_section!` dispatches to them, so that a section
//! without one does not compile.
//!
//! A printer makes [blocks](crate::block) and draws nothing: tables and fields, or, of a section whose scope is an open file description, what
//! stands beside the descriptor's number: one line, or more if need be.

use cryo_format::section::objects::{Object, ObjectKind, Objects};
use cryo_format::section::thread::Thread;
use cryo_format::section::vmas::Vmas;
use cryo_format::section::{AnySection, Section};

use crate::arch::Arch;
use crate::block::Blocks;
use crate::draw::json;
use crate::ice::Ice;
use crate::text::{clipped, cut, shown, shown_or};

mod actions;
mod aio;
mod ancillary;
mod attributes;
mod clocks;
mod cpu;
mod credentials;
pub mod descriptors;
mod epoll;
mod eventfd;
mod extents;
mod family;
mod fanotify;
mod files;
mod forked;
pub mod fpu;
mod fs;
mod guards;
mod history;
mod inet;
mod inotify;
mod itimers;
mod ldt;
mod limits;
mod link;
mod locks;
mod mempolicy;
pub mod mm;
mod mqueues;
mod netlink;
mod notes;
mod objects;
mod origin;
mod outside;
mod owners;
mod packet;
pub mod pages;
mod parent;
mod peers;
mod pending;
mod pidfd;
mod pipes;
mod process;
mod ptimers;
mod ptys;
mod raw;
pub mod regs;
mod removed;
mod scheduling;
mod seccomp;
mod semundo;
mod sessions;
mod signalfd;
mod sockets;
pub mod syscall;
mod terminal;
mod thread;
mod timerfd;
mod tls;
mod touched;
mod unix;
mod unknown;
mod unread;
pub mod vmas;
pub mod xstate;

pub use unknown::print as print_unknown;

/// How a section is shown to people.
pub trait Print: Section {
    /// Its heading; beside a descriptor, what kind of thing it is.
    const TITLE: &'static str;
    /// Where it stands among its owner's sections.
    const ORDER: Order = Order::Usual;

    /// Owners whose sections it shows within its own lines: they are not shown by themselves.
    fn shows(&self) -> Vec<u64> {
        Vec::new()
    }

    /// Says it, in blocks.
    fn print(&self, out: &mut Blocks, cx: &Cx<'_>);
}

/// Where a section stands among those of its owner; among equals the files' order and the table's decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// What people look for.
    First,
    /// Most.
    Usual,
    /// Long lists that others refer to.
    Late,
    /// Not by itself: another printer shows it. (It is shown where that other one is missing.)
    Within,
}

macro_rules! dispatch {
    ($($module:ident $ty:ident $kind:literal $version:literal $profile:ident $scope:ident $flags:ident;)*) => {
        /// Heading and place of a section; none for what is not one.
        pub fn place(section: &AnySection) -> Option<(&'static str, Order)> {
            use cryo_format::section::*;
            match section {
                $(AnySection::$ty(_) => Some((<$module::$ty as Print>::TITLE, <$module::$ty as Print>::ORDER)),)*
                _ => None,
            }
        }

        /// What programs call each kind of open file description.
        pub fn descriptions() -> Vec<String> {
            use cryo_format::section::*;
            let all = [$((<$module::$ty as Section>::INFO.scope, <$module::$ty as Print>::TITLE)),*];
            let names = all.into_iter().filter(|(scope, _)| *scope == Scope::Description).map(|(_, title)| json::name(title));
            // Two kinds may have one name: an end of a pipe, and what is in it.
            let mut different: Vec<String> = Vec::new();
            for name in names {
                if !different.contains(&name) {
                    different.push(name);
                }
            }
            different
        }

        /// Owners whose sections a section shows within its own lines.
        pub fn shows(section: &AnySection) -> Vec<u64> {
            match section {
                $(AnySection::$ty(section) => Print::shows(section),)*
                _ => Vec::new(),
            }
        }

        /// Says whatever it is.
        pub fn print(section: &AnySection, out: &mut Blocks, cx: &Cx<'_>) {
            match section {
                $(AnySection::$ty(section) => Print::print(section, out, cx),)*
                AnySection::Unknown(bytes) => unknown::print(bytes, out),
                // The container's own, and what a later cryo-format may add.
                _ => {}
            }
        }
    };
}

cryo_format::for_each_section!(dispatch);

/// What programs call a section: its heading, as a member's name.
pub fn key(section: &AnySection) -> String {
    place(section).map_or_else(|| "unknown".to_owned(), |(title, _)| json::name(title))
}

/// What a printer may want to know beside its section.
pub struct Cx<'a> {
    /// Everything there is.
    pub ice: &'a Ice,
    /// Whose section it is.
    pub owner: u64,
    /// The process that the owner is, or that it is of, if known.
    pub process: Option<u64>,
}

impl Cx<'_> {
    /// The machine of the thread or of the process.
    pub fn arch(&self) -> Arch {
        let of_process = || self.process.map(|process| Arch::of_process(self.ice, process));
        Arch::of_thread(self.ice, self.owner).or_else(of_process).unwrap_or_else(|| Arch::of_image(self.ice))
    }

    /// An object of the image.
    pub fn object(&self, id: u64) -> Option<&Object> {
        let objects = &self.ice.get::<Objects>(0)?.objects;
        objects.binary_search_by_key(&id, |o| o.id).ok().map(|i| &objects[i])
    }

    /// An object's name, or what stands for it.
    pub fn object_name(&self, id: u64) -> String {
        match self.object(id) {
            Some(o) => cut(object_name(o), NAME),
            None => format!("object {id} (not in the image)"),
        }
    }

    /// What is mapped at an address: `libc.so.6+0x2a1d0`, `[stack]`; empty for memory without a name, none if nothing is there.
    fn mapped(&self, addr: u64) -> Option<String> {
        let vmas = &self.ice.get::<Vmas>(self.process?)?.vmas;
        let v = &vmas[vmas.partition_point(|v| v.end.0 <= addr)..].first().filter(|v| v.start.0 <= addr)?;
        let Some(o) = self.object(v.object) else { return Some(clipped(&v.name, NAME)) };
        Some(format!("{}+{:#x}", short_name(o), v.offset.wrapping_add(addr - v.start.0)))
    }

    /// What is mapped at an address, in words.
    pub fn at(&self, addr: u64) -> Option<String> {
        self.mapped(addr).map(|name| if name.is_empty() { "anonymous memory".to_owned() } else { name })
    }

    /// An address with the name of what is mapped there, if it has one.
    pub fn address(&self, addr: u64) -> String {
        format!("{addr:#x} {}", self.mapped(addr).unwrap_or_default()).trim_end().to_owned()
    }
}

/// Bytes of a name that is repeated in many lines; the table of objects has the rest.
const NAME: usize = 256;

/// A thread as people name it.
fn thread(id: u64, cx: &Cx<'_>) -> String {
    cx.ice.get::<Thread>(id).map_or_else(|| format!("thread of local id {id}"), |t| format!("thread {}", t.tid))
}

/// An object's name without its directory.
pub fn short_name(o: &Object) -> String {
    match o.path.rsplit(|b| *b == b'/').next() {
        Some(file) if o.kind == ObjectKind::FILE && !file.is_empty() => clipped(file, NAME),
        _ => cut(object_name(o), NAME),
    }
}

/// An object's name, or what stands for it.
pub fn object_name(o: &Object) -> String {
    match o.kind {
        ObjectKind::FILE => shown_or(&o.path, "(a file without a path)"),
        ObjectKind::DELETED => format!("{} (deleted)", shown(&o.path)),
        ObjectKind::SHARED_ANONYMOUS => "shared anonymous memory".to_owned(),
        ObjectKind::MEMFD => format!("memfd:{}", shown(&o.path)),
        ObjectKind::VDSO => "[vdso]".to_owned(),
        ObjectKind::SYSV_SHM => "SysV shared memory".to_owned(),
        ObjectKind(other) => format!("{} (kind {other})", shown(&o.path)),
    }
}
