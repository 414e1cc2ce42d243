//! Images made here: a set with every section that there is, and what runs the command on it.
#![allow(dead_code)] // every test file uses its part
#![allow(clippy::unwrap_used)] // clippy knows only functions marked as tests
#![allow(clippy::too_many_arguments)] // rows of a table

mod ends;
pub mod wedge;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use cryo_format::header::{EM_386, EM_X86_64};
use cryo_format::prim::{Addr, Blob, Raw};
use cryo_format::section::actions::{Action, Actions};
use cryo_format::section::clocks::Clocks;
use cryo_format::section::cpu::Cpu;
use cryo_format::section::descriptors::{Descriptor, Descriptors};
use cryo_format::section::extents::{Content, Extent};
use cryo_format::section::family::{Common, Family, Zombie};
use cryo_format::section::files::OpenFile;
use cryo_format::section::forked::{Forked, ForkedRange};
use cryo_format::section::guards::{Guard, Guards};
use cryo_format::section::history::{Difference, History, Made};
use cryo_format::section::ldt::{Ldt, LdtEntry};
use cryo_format::section::link::Link;
use cryo_format::section::mempolicy::{BoundRange, Mbind, Mempolicy};
use cryo_format::section::mm::Mm;
use cryo_format::section::notes::{Note, Notes};
use cryo_format::section::objects::{Object, ObjectKind, Objects};
use cryo_format::section::origin::Origin;
use cryo_format::section::outside::{Outside, Policy};
use cryo_format::section::parent::{Heir, ParentSet};
use cryo_format::section::pending::Pending;
use cryo_format::section::process::Process;
use cryo_format::section::regs::{RegsI386, RegsX86_64};
use cryo_format::section::removed::Removed;
use cryo_format::section::syscall::{Restart, Syscall, SyscallI386};
use cryo_format::section::thread::Thread;
use cryo_format::section::tls::{Tls, TlsEntry};
use cryo_format::section::vmas::{Backing, VmFlags, Vma, Vmas};
use cryo_format::section::xstate::{Component, Xstate};
use cryo_format::write::Writer;
use cryo_format::{Header, Profile, digest};

/// The bytes of a set, in the order of a pipe: .frore, .frost, .freeze.
pub struct Files(pub [Vec<u8>; 3]);

impl Files {
    /// Writes NAME.frore, NAME.frost and NAME.freeze.
    pub fn store(&self, name: &Path) {
        for ((_, path), bytes) in cryo_format::set::paths(name).iter().zip(&self.0) {
            std::fs::write(path, bytes).unwrap();
        }
    }

    pub fn piped(&self) -> Vec<u8> {
        self.0.concat()
    }
}

fn writer(profile: Profile, machine: u16) -> Writer<Vec<u8>> {
    let set = if profile == Profile::Frore { Raw([7; 16]) } else { Raw([9; 16]) };
    Writer::new(Vec::new(), &Header::new(profile, machine, 12, set)).unwrap()
}

fn vma(start: u64, end: u64, prot: u32, backing: Backing, object: u64, offset: u64, name: &str, flags: u64) -> Vma {
    Vma { start: Addr(start), end: Addr(end), prot, backing, object, offset, name: name.into(), flags: VmFlags(flags) }
}

fn extent(vaddr: u64, pages: u64, content: Content, reference: u64) -> Extent {
    Extent { vaddr: Addr(vaddr), pages, content, reserved: 0, reference }
}

fn action(signal: u32, handler: u64, flags: u64, mask: u64) -> Action {
    Action { signal, handler: Addr(handler), flags: Addr(flags), mask: Addr(mask), ..Action::default() }
}

fn siginfo(words: &[(usize, i32)]) -> Blob {
    let mut info = vec![0; 128];
    for (at, word) in words {
        info[*at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    info.into()
}

/// An XSAVE area with something in x87, SSE, AVX, AVX-512 and PKRU.
pub fn xstate() -> Xstate {
    let component = |number, offset, size| Component { number, flags: 0, offset, size };
    let layout = vec![
        component(2, 576, 256),
        component(5, 832, 64),
        component(6, 896, 512),
        component(7, 1408, 1024),
        component(9, 2432, 8),
    ];
    let mut area = vec![0; 2440];
    area[..2].copy_from_slice(&0x037f_u16.to_le_bytes());
    area[2..4].copy_from_slice(&0x3820_u16.to_le_bytes());
    area[4] = 0x80;
    area[24..28].copy_from_slice(&0x9fa0_u32.to_le_bytes());
    area[32..42].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0xc0, 0x00, 0x40]);
    area[160..168].copy_from_slice(&1.5_f64.to_le_bytes());
    area[176] = 0x11;
    area[512..520].copy_from_slice(&0x2e7_u64.to_le_bytes());
    area[576 + 16] = 0x22;
    area[832..840].copy_from_slice(&0xff_u64.to_le_bytes());
    area[896 + 64 + 31] = 0x33;
    area[1408] = 0x44;
    area[2432..2436].copy_from_slice(&0x5555_5554_u32.to_le_bytes());
    Xstate { xcr0: Addr(0x2e7), layout: layout.into(), area: area.into() }
}

/// A process (1) of two threads (2, 3) with files (10, 11) and memory objects (12, 13), descriptions (20 to 24; sockets,
/// terminals and a pipe 30 to 46), and all else.
pub fn set() -> Files {
    let mut w = writer(Profile::Frore, EM_X86_64);
    let features = vec!["avx".into(), "avx512f".into(), "sse2".into()].into();
    w.section(0, &Cpu { brand: "Example CPU".into(), xcr0: Addr(0x2e7), in_use: Addr(0x2e7), features }).unwrap();
    let program = Object {
        id: 10,
        path: "/usr/bin/example".into(),
        mode: 0o100_755,
        size: 20_000,
        mtime_sec: 1_700_000_000,
        build_id: vec![0xab; 20].into(),
        ..Object::default()
    };
    let deleted = Object {
        id: 11,
        kind: ObjectKind::DELETED,
        embedded: 1,
        path: "/tmp/gone\x1b[31m".into(),
        mode: 0o100_600,
        size: 5000,
        ..Object::default()
    };
    let memfd =
        Object { id: 12, kind: ObjectKind::MEMFD, path: "m".into(), size: 4096, seals: 0b110, ..Object::default() };
    let vdso = Object { id: 13, kind: ObjectKind::VDSO, size: 8192, build_id: vec![1, 2].into(), ..Object::default() };
    w.section(0, &Objects { objects: vec![program, deleted, memfd, vdso].into() }).unwrap();
    let auxv = [33, 0x7fff_0000_0000, 6, 4096, 11, 1000, 99, 5, 0, 0].map(Addr).to_vec().into();
    let mm = Mm {
        start_code: Addr(0x40_1000),
        end_code: Addr(0x40_2000),
        start_brk: Addr(0x50_0000),
        brk: Addr(0x52_1000),
        start_stack: Addr(0x7ffd_0000_f000),
        exe: 10,
        thp_disable: 1,
        mlock_future: 2,
        memory_merge: 1,
        auxv,
        ..Mm::default()
    };
    w.section(1, &mm).unwrap();
    let vmas = vec![
        vma(0x40_0000, 0x40_1000, 1, Backing::PRIVATE_FILE, 10, 0, "", 0),
        vma(0x40_1000, 0x40_2000, 5, Backing::PRIVATE_FILE, 10, 0x1000, "", 0),
        vma(0x40_2000, 0x40_4000, 3, Backing::PRIVATE_FILE, 10, 0x2000, "", 0),
        vma(0x50_0000, 0x52_1000, 3, Backing::ANONYMOUS, 0, 0, "[heap]", 0),
        vma(
            0x7f00_0000_0000,
            0x7f19_0000_0000,
            0,
            Backing::ANONYMOUS,
            0,
            0,
            "",
            VmFlags::NORESERVE | VmFlags::DONTDUMP,
        ),
        vma(0x7f20_0000_0000, 0x7f20_0000_1000, 3, Backing::SHARED, 12, 0, "", VmFlags::LOCKED),
        vma(0x7ffd_0000_0000, 0x7ffd_0002_1000, 3, Backing::ANONYMOUS, 0, 0, "[stack]", VmFlags::GROWSDOWN | 1 << 40),
        vma(0x7fff_0000_0000, 0x7fff_0000_2000, 5, Backing::SPECIAL, 13, 0, "[vdso]", 0),
    ];
    w.section(1, &Vmas { vmas: vmas.into() }).unwrap();
    let guards = vec![Guard { start: Addr(0x50_4000), end: Addr(0x50_6000) }];
    w.section(1, &Guards { guards: guards.into() }).unwrap();
    let (start, end, nodes) = (Addr(0x50_4000), Addr(0x50_8000), vec![0b101].into());
    let ranges = vec![BoundRange { start, end, mode: 3, flags: 0x8000, nodes }];
    w.section(1, &Mbind { ranges: ranges.into() }).unwrap();
    let (frore, frore_root) = w.finish().unwrap();

    let (frost, frost_root) = frost();
    let mut w = writer(Profile::Freeze, EM_X86_64);
    w.section(0, &Link { frore_set: Raw([7; 16]), frore_root, frost_root }).unwrap();
    registers(&mut w);
    let ranges = vec![ForkedRange { start: Addr(0x51_0000), end: Addr(0x51_2000) }];
    w.section(1, &Forked { parent: 1, ranges: ranges.into() }).unwrap();
    pages(&mut w);
    let (freeze, _) = w.finish().unwrap();
    Files([frore, frost, freeze])
}

fn frost() -> (Vec<u8>, Raw<32>) {
    let mut w = writer(Profile::Frost, EM_X86_64);
    let zombie =
        Zombie { pid: 4300, ppid: 4242, pgid: 4242, sid: 4242, exit_signal: 17, status: 0x700, name: "sort".into() };
    let common = Common { process: 2, other: 1, flags: 0x600, reserved: 0 };
    w.section(0, &Family { root: 1, zombies: vec![zombie].into(), common: vec![common].into() }).unwrap();
    let process = Process {
        pid: 4242,
        ppid: 1,
        pgid: 4242,
        sid: 4242,
        exit_signal: 17,
        personality: 0x0004_0000,
        umask: 0o022,
        flags: 6,
        parent_death_signal: 9,
        stopped_by: 20,
        uid: [1000, 0, 1000, 1000],
        gid: [1000; 4],
        exe: "/usr/bin/example".into(),
        cwd: "/home/\u{fc}\n".into(),
        root: "/".into(),
        cmdline: b"example\0--name\0two words\0\xff\0".to_vec().into(),
        oom_score_adj: Addr(1500),
        cwd_dev: 0x0803,
        cwd_ino: 1_234_567,
        root_dev: 0x0803,
        root_ino: 2,
    };
    w.section(1, &process).unwrap();
    let removed = Removed { path: "/tmp/gone".into(), dev: 0x0803, ino: 77, mode: 0o040_755, ..Removed::default() };
    w.section(90, &removed).unwrap();
    let main = Thread {
        process: 1,
        tid: 4242,
        comm: "example".into(),
        sigmask: Addr(0b11),
        altstack_sp: Addr(0x50_1000),
        altstack_size: 8192,
        altstack_flags: 1 << 31,
        clear_child_tid: Addr(0x50_0010),
        robust_list: Addr(0x50_0020),
        robust_list_len: 24,
        rseq: Addr(0x50_0040),
        rseq_size: 32,
        rseq_signature: 0x5305_3053,
        dispatch_mode: 1,
        dispatch_selector: Addr(0x50_0060),
        dispatch_offset: Addr(0x40_0000),
        dispatch_len: 0x2000,
        ..Thread::default()
    };
    w.section(2, &main).unwrap();
    w.section(3, &Thread { process: 1, tid: 4243, comm: "worker".into(), altstack_flags: 2, ..Thread::default() })
        .unwrap();
    let entries = vec![LdtEntry { entry: 3, base: 0x50_4000, limit: 0xfff, flags: 1 | 16 }];
    w.section(1, &Ldt { entries: entries.into() }).unwrap();
    w.section(3, &Mempolicy { mode: 2, flags: 0, nodes: vec![1].into() }).unwrap();
    let actions = vec![
        action(1, 0x40_1234, 0x1400_0004, 0b10),
        action(2, 1, 0x0400_0000, 0),
        action(15, 0x40_1234, 0x1400_0004, 0b10),
    ];
    w.section(1, &Actions { actions: actions.into() }).unwrap();
    w.section(1, &Pending { signals: vec![siginfo(&[(0, 10), (16, 77), (20, 1000)])].into() }).unwrap();
    w.section(2, &Pending { signals: vec![siginfo(&[(0, 34), (8, -1), (16, 77), (24, 5)])].into() }).unwrap();
    let descriptor = |fd, flags, description| Descriptor { fd, flags, description };
    let mut descriptors = vec![
        descriptor(0, 0, 20),
        descriptor(1, 0, 21),
        descriptor(2, 0, 21),
        descriptor(3, 1, 22),
        descriptor(7, 0, 23),
        descriptor(9, 0, 99),
    ];
    descriptors.extend(ends::descriptors());
    w.section(1, &Clocks { monotonic_ns: 864_000_250_000_000, boottime_ns: 950_400_250_000_000 }).unwrap();
    w.section(1, &Descriptors { descriptors: descriptors.into() }).unwrap();
    let outside = |what: &str, policy, inherit, path: &str| Outside {
        what: what.into(),
        open_flags: Addr(0o102_002),
        policy,
        inherit,
        path: path.into(),
    };
    w.section(20, &outside("/dev/pts/3", Policy::TERMINAL, 0, "")).unwrap();
    w.section(21, &outside("pipe:[1234]", Policy::INHERIT, 1, "")).unwrap();
    let file = OpenFile {
        path: "/tmp/gone".into(),
        open_flags: Addr(0o102_001),
        offset: 100,
        mode: 0o100_600,
        size: 5000,
        object: 11,
        ..OpenFile::default()
    };
    w.section(22, &file).unwrap();
    let null = OpenFile { path: "/dev/null".into(), rdev: 0x103, mode: 0o020_666, ..OpenFile::default() };
    w.section(23, &null).unwrap();
    w.section(24, &outside("socket:[5]", Policy::PATH, 0, "/tmp/instead")).unwrap();
    ends::write(&mut w);
    let made = Made {
        fd: 3,
        mode: 0o640,
        order: 7,
        flags: 0o101,
        source: -1,
        kind: "file".into(),
        path: "../data".into(),
        absolute: "/home/x/../data".into(),
        names: vec!["/home/moved".into()].into(),
    };
    let differences = vec![Difference { object: "fd 9".into(), text: "a pipe, and it is a socket".into() }];
    w.section(1, &History { descriptors: vec![made].into(), compared: 66, differences: differences.into() }).unwrap();
    w.section(0, &Notes { notes: vec![Note { object: "fd 8".into(), text: "left out on request".into() }].into() })
        .unwrap();
    let origin = Origin {
        time_sec: 1_795_463_000,
        tool: "cryo-freeze 0.1.0".into(),
        host: "here".into(),
        kernel: "Linux 6.18".into(),
        stopped_ns: 3_200_000,
        ..Origin::default()
    };
    w.section(0, &origin).unwrap();
    let future = cryo_format::Kind(*b"XYZZ");
    w.opaque(future, 3, cryo_format::chunk::ChunkFlags::NONE, 2, b"from the future, and more than one line of it")
        .unwrap();
    w.finish().unwrap()
}

fn registers(w: &mut Writer<Vec<u8>>) {
    let main = RegsX86_64 {
        rip: Addr(0x40_1500),
        rsp: Addr(0x7ffd_0001_0000),
        rax: Addr(-516_i64 as u64),
        orig_rax: Addr(230),
        eflags: Addr(0x3246),
        cs: Addr(0x33),
        ss: Addr(0x2b),
        fs_base: Addr(0x7f00_1234_5678),
        ..RegsX86_64::default()
    };
    w.section(2, &main).unwrap();
    w.section(2, &xstate()).unwrap();
    let call = Syscall {
        number: 230,
        args: [1, 0, 0x7ffd_0001_0010, 0x7ffd_0001_0020, 99, 99].map(Addr),
        restart: Restart::RESTARTBLOCK,
        flags: 1,
        remaining_ns: 4_500_000_000,
    };
    w.section(2, &call).unwrap();
    let worker =
        RegsX86_64 { rip: Addr(0x50_0100), orig_rax: Addr(u64::MAX), eflags: Addr(2), ..RegsX86_64::default() };
    w.section(3, &worker).unwrap();
}

fn pages(w: &mut Writer<Vec<u8>>) {
    let data: Vec<u8> = (0..4 * 4096).map(|i| (i / 4096 + 1) as u8).collect();
    let extents = [
        extent(0x40_0000, 2, Content::FILE_DATA, 0),
        extent(0x40_2000, 1, Content::DATA, 2),
        extent(0x50_0000, 1, Content::DATA, 3),
        extent(0x50_1000, 32, Content::ZERO, 0),
    ];
    w.pages(1, &extents, &data, Some(digest(&data))).unwrap();
    let data = vec![8; 2 * 4096];
    w.pages(11, &[extent(0, 2, Content::DATA, 0)], &data, None).unwrap();
}

/// A .freeze of an i386 process, by itself.
pub fn i386() -> Vec<u8> {
    let mut w = writer(Profile::Freeze, EM_386);
    w.section(0, &Link::default()).unwrap();
    let regs = RegsI386 { eip: 0x0804_8000, eax: -4_i32 as u32, orig_eax: 162, eflags: 0x10246, ..RegsI386::default() };
    w.section(2, &regs).unwrap();
    let entry = TlsEntry { entry: 12, base: 0xf7f0_0000, limit: 0xf_ffff, flags: 0b101_0001 };
    w.section(2, &Tls { entries: vec![entry].into() }).unwrap();
    w.section(2, &SyscallI386 { number: 162, restart: Restart::NOHAND, ..SyscallI386::default() }).unwrap();
    w.section(2, &Xstate { xcr0: Addr(3), area: vec![0; 512].into(), ..Xstate::default() }).unwrap();
    w.pages(1, &[extent(0x0804_8000, 3, Content::ZERO, 0)], &[], None).unwrap();
    w.finish().unwrap().0
}

/// Runs `cryo-inspect` in `dir`.
pub fn inspect(dir: &Path, args: &[&str], stdin: &[u8]) -> Output {
    use std::io::Write;
    let mut command = Command::new(env!("CARGO_BIN_EXE_cryo-inspect"));
    command.current_dir(dir).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // It may have read enough before all is written.
        scope.spawn(move || drop(pipe.write_all(stdin)));
        child.wait_with_output().unwrap()
    })
}

/// Standard output as text, where the exit status is `code`.
pub fn stdout(out: &Output, code: i32) -> String {
    let errors = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{errors}");
    String::from_utf8(out.stdout.clone()).unwrap()
}

/// Compares with tests/expected/NAME; `TRYCMD=overwrite` (`cargo xtask bless`) writes it instead.
pub fn expect(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected").join(name);
    if std::env::var_os("TRYCMD").is_some_and(|v| v == "overwrite") {
        std::fs::write(path, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let differ = text.lines().zip(expected.lines()).position(|(a, b)| a != b);
    assert!(text == expected, "{name} differs from line {differ:?} on (`cargo xtask bless` accepts it):\n{text}");
}

/// Sections of which the set above has no telling example yet, each once with nothing in it: that they print at all.
pub fn bare() -> Vec<Vec<u8>> {
    macro_rules! defaults {
        ($($module:ident $type:ident $kind:literal $version:literal $profile:ident $scope:ident $flags:ident;)*) => {
            vec![$(cryo_format::section::AnySection::from(cryo_format::section::$module::$type::default())),*]
        };
    }
    let all = cryo_format::for_each_section!(defaults);
    let mut files = Vec::new();
    for section in all {
        let Some(info) = section.info() else { continue };
        let mut w = writer(info.profile, EM_X86_64);
        if w.any(7, &section).is_ok() {
            files.push(w.finish().unwrap().0);
        }
    }
    files
}

/// A .freeze that wants the pages of another set.
pub fn child() -> Vec<u8> {
    let mut w = writer(Profile::Freeze, EM_X86_64);
    let owners = vec![Heir { owner: 1, parent: 1 }].into();
    let parent = ParentSet {
        set: Raw([3; 16]),
        root: Raw([4; 32]),
        depth: 1,
        reserved: 0,
        name: "/ice/monday.freeze".into(),
        owners,
    };
    w.section(0, &parent).unwrap();
    w.finish().unwrap().0
}
