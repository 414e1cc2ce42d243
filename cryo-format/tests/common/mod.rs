//! A small set for the tests.
#![allow(dead_code)] // every test file uses its part
#![allow(clippy::unwrap_used)]

pub mod chance;

use std::path::Path;

use cryo_format::header::{EM_X86_64, Header};
use cryo_format::prim::{Addr, Blob, Raw};
use cryo_format::section::actions::{Action, Actions};
use cryo_format::section::cpu::Cpu;
use cryo_format::section::descriptors::{Descriptor, Descriptors};
use cryo_format::section::extents::{Content, Extent};
use cryo_format::section::files::OpenFile;
use cryo_format::section::link::Link;
use cryo_format::section::mm::Mm;
use cryo_format::section::notes::{Note, Notes};
use cryo_format::section::objects::{Object, Objects};
use cryo_format::section::origin::Origin;
use cryo_format::section::outside::Outside;
use cryo_format::section::pending::Pending;
use cryo_format::section::process::Process;
use cryo_format::section::regs::RegsX86_64;
use cryo_format::section::syscall::Syscall;
use cryo_format::section::thread::Thread;
use cryo_format::section::vmas::{Backing, Vma, Vmas};
use cryo_format::section::xstate::{Component, Xstate};
use cryo_format::write::Writer;
use cryo_format::{Profile, digest};

pub const PAGE: usize = 4096;

pub struct Files {
    pub frore: Vec<u8>,
    pub frost: Vec<u8>,
    pub freeze: Vec<u8>,
}

impl Files {
    /// Writes NAME.freeze and its siblings.
    pub fn store(&self, name: &Path) {
        for (profile, path) in cryo_format::set::paths(name) {
            std::fs::write(path, self.get(profile)).unwrap();
        }
    }

    pub fn get(&self, profile: Profile) -> &Vec<u8> {
        match profile {
            Profile::Frore => &self.frore,
            Profile::Frost => &self.frost,
            Profile::Freeze => &self.freeze,
        }
    }
}

fn extent(vaddr: u64, pages: u64, content: Content, reference: u64) -> Extent {
    Extent { vaddr: Addr(vaddr), pages, content, reserved: 0, reference }
}

pub fn header(profile: Profile) -> Header {
    let set = if profile == Profile::Frore { Raw([7; 16]) } else { Raw([9; 16]) };
    Header::new(profile, EM_X86_64, 12, set)
}

/// One process (1) with one thread (2), a file (3), an embedded object (4), two descriptions (5, 6), and a little of everything else.
pub fn small_set() -> Files {
    let mut w = Writer::new(Vec::new(), &header(Profile::Frore)).unwrap();
    w.section(
        0,
        &Cpu {
            brand: "test".into(),
            xcr0: Addr(7),
            in_use: Addr(7),
            features: vec!["avx".into(), "sse2".into()].into(),
        },
    )
    .unwrap();
    let file = Object {
        id: 3,
        path: "/bin/true".into(),
        mode: 0o100755,
        size: 4096,
        build_id: vec![1, 2].into(),
        ..Object::default()
    };
    let embedded =
        Object { id: 4, embedded: 1, path: "/tmp/\u{fc}\\".into(), mode: 0o100600, size: 10, ..Object::default() };
    w.section(0, &Objects { objects: vec![file, embedded].into() }).unwrap();
    w.section(1, &Mm { exe: 3, auxv: vec![Addr(0), Addr(0)].into(), ..Mm::default() }).unwrap();
    let anonymous = Vma { start: Addr(0x10000), end: Addr(0x14000), prot: 3, name: "[heap]".into(), ..Vma::default() };
    let mapped = Vma {
        start: Addr(0x20000),
        end: Addr(0x21000),
        prot: 5,
        backing: Backing::PRIVATE_FILE,
        object: 3,
        ..Vma::default()
    };
    w.section(1, &Vmas { vmas: vec![anonymous, mapped].into() }).unwrap();
    let (frore, frore_root) = w.finish().unwrap();

    let mut w = Writer::new(Vec::new(), &header(Profile::Frost)).unwrap();
    w.section(
        1,
        &Process { pid: 4242, exe: "/bin/true".into(), cmdline: b"true\0\xff".to_vec().into(), ..Process::default() },
    )
    .unwrap();
    w.section(2, &Thread { process: 1, tid: 4242, comm: "true".into(), ..Thread::default() }).unwrap();
    w.section(1, &Actions { actions: vec![Action { signal: 2, handler: Addr(1), ..Action::default() }].into() })
        .unwrap();
    w.section(2, &Pending { signals: vec![Blob::from(vec![3; 128])].into() }).unwrap();
    let descriptor = |fd, description| Descriptor { fd, flags: 0, description };
    w.section(1, &Descriptors { descriptors: vec![descriptor(0, 6), descriptor(3, 5), descriptor(4, 5)].into() })
        .unwrap();
    w.section(5, &OpenFile { path: "/tmp/x".into(), offset: 5, object: 4, ..OpenFile::default() }).unwrap();
    w.section(6, &Outside { what: "/dev/pts/0".into(), ..Outside::default() }).unwrap();
    w.section(0, &Notes { notes: vec![Note { object: "fd 9".into(), text: "left out".into() }].into() }).unwrap();
    w.section(0, &Origin { time_sec: -1, tool: "test".into(), ..Origin::default() }).unwrap();
    let (frost, frost_root) = w.finish().unwrap();

    let mut w = Writer::new(Vec::new(), &header(Profile::Freeze)).unwrap();
    w.section(0, &Link { frore_set: header(Profile::Frore).set, frore_root, frost_root }).unwrap();
    w.section(2, &RegsX86_64 { rip: Addr(0x10010), ..RegsX86_64::default() }).unwrap();
    let avx = Component { number: 2, flags: 0, offset: 576, size: 256 };
    w.section(2, &Xstate { xcr0: Addr(7), layout: vec![avx].into(), area: vec![5; 832].into() }).unwrap();
    w.section(2, &Syscall { number: 35, ..Syscall::default() }).unwrap();
    let data: Vec<u8> = (0..2 * PAGE).map(|i| (i / PAGE + 1) as u8).collect();
    let extents = [extent(0x10000, 2, Content::DATA, 0), extent(0x12000, 1, Content::ZERO, 0)];
    w.pages(1, &extents, &data, Some(digest(&data))).unwrap();
    let data = vec![8; PAGE];
    w.pages(4, &[extent(0, 1, Content::DATA, 0)], &data, None).unwrap();
    w.pages(1, &[extent(0x20000, 1, Content::ZERO, 0)], &[], None).unwrap();
    let (freeze, _) = w.finish().unwrap();
    Files { frore, frost, freeze }
}

/// A small generator of chance; the seed is printed, and can be given as SEED.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let clock = std::time::UNIX_EPOCH.elapsed().map_or(1, |d| d.as_nanos() as u64);
        let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(clock) | 1;
        println!("SEED={seed}");
        Self(seed)
    }

    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The low bits of the state alone repeat early.
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.word() % n as u64) as usize
    }
}
