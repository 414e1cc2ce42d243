//! The conditions of a thaw, as one list: what must be so before anything is started (the right machine, a CPU that has what the image uses, state that
//! this release can bring back, rights to give), and what a thaw finds out when it comes to it (ids, files, ports). The thawer asks the first and refuses;
//! `cryo-inspect check` asks all of them and shows every answer ([`crate::rehearsal`] tries the rest).

use std::collections::BTreeMap;

use cryo_format::prim::Bytes;
use cryo_format::section::cpu::Cpu;
use cryo_format::section::credentials::Credentials;
use cryo_format::section::descriptors::Descriptors;
use cryo_format::section::files::OpenFile;
use cryo_format::section::inet::{Inet, State};
use cryo_format::section::limits::Limits;
use cryo_format::section::notes::{FROM_CORE, Notes, REDACTED};
use cryo_format::section::objects::{ObjectKind, Objects};
use cryo_format::section::origin::Origin;
use cryo_format::section::process::Process;
use cryo_format::section::seccomp::Seccomp;
use cryo_format::section::thread::Thread;
use cryo_format::section::vmas::{Backing, Vmas};
use cryo_format::section::xstate::Xstate;
use cryo_tracee::{Refusal, RefusalKind, Refusals, cpu, namespace, sockets as socket};

use crate::error::refuse;
use crate::ice::{Ice, machine};
use crate::identity::{self, Frozen};
use crate::options::{Options, Pid};
use crate::restore::{clocks, credentials, inet_socket, limits, seccomp, xstate};
use crate::same_file::{Hashes, same_file};
use crate::vdso::MAX_VDSO;
use crate::{Result, file_map, ids, lazy};

/// When the thawer asks for a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Of the set and the machine: wherever the thaw takes place.
    First,
    /// Of our own rights: before the thaw, and outside of any namespace that is made for it.
    Outside,
    /// By itself, when the thaw comes to it. What is said here may be stricter than the thaw, which knows ways around.
    InTime,
}

/// One condition.
pub struct Condition {
    /// What it is about.
    pub name: &'static str,
    /// When the thawer asks.
    pub when: When,
    /// The answer: what was found, or the refusal, with the way out.
    pub ask: fn(&Ice, &Options) -> Result<String>,
}

/// All of them, in the order in which they are asked.
pub const CONDITIONS: [Condition; 13] = [
    Condition { name: "image", when: When::First, ask: image },
    Condition { name: "registers", when: When::First, ask: registers },
    Condition { name: "instructions", when: When::First, ask: instructions },
    Condition { name: "descriptors", when: When::First, ask: descriptors },
    Condition { name: "memory", when: When::First, ask: memory },
    Condition { name: "limits", when: When::Outside, ask: resource_limits },
    Condition { name: "users", when: When::Outside, ask: users },
    Condition { name: "seccomp", when: When::Outside, ask: restrictions },
    Condition { name: "ids", when: When::InTime, ask: |ice, options| Ok(ids::decide(ice, options.pid)?.found(ice)) },
    Condition { name: "namespaces", when: When::InTime, ask: namespaces },
    Condition { name: "kernel", when: When::InTime, ask: kernel },
    Condition { name: "files", when: When::InTime, ask: files },
    Condition { name: "ports", when: When::InTime, ask: ports },
];

/// Refuses what cannot become a process here.
pub fn check(ice: &Ice, options: &Options) -> Result<()> {
    ask(ice, options, |when| when == When::First)
}

/// Refuses that, and what we may not bring back: before a host exists, and outside of any namespace.
pub fn rights(ice: &Ice, options: &Options) -> Result<()> {
    lazy::allowed(options)?;
    ask(ice, options, |when| when != When::InTime)
}

fn ask(ice: &Ice, options: &Options, now: impl Fn(When) -> bool) -> Result<()> {
    CONDITIONS.iter().filter(|c| now(c.when)).try_for_each(|c| (c.ask)(ice, options).map(drop))
}

/// Names of extended-state components (Intel SDM vol. 1, 13.1).
const COMPONENTS: [(u32, &str); 11] = [
    (0, "x87"),
    (1, "SSE"),
    (2, "AVX"),
    (3, "MPX bound registers"),
    (4, "MPX bound configuration"),
    (5, "AVX-512 mask registers"),
    (6, "AVX-512 upper halves of zmm0-15"),
    (7, "AVX-512 zmm16-31"),
    (9, "protection keys (PKRU)"),
    (17, "AMX tile configuration"),
    (18, "AMX tile data"),
];

/// Where user addresses end, with five levels of page tables.
const ADDRESSES: u64 = 1 << 56;

/// Largest offset in a file (off_t), and room to round it up.
const LARGEST: u64 = i64::MAX as u64 - (1 << 20);

/// Components that glibc's lazy binding saves around a symbol's first call (sysdeps/x86/cpu-features: STATE_SAVE_MASK), into room that it measured when the
/// program started. XSAVE writes all that the CPU has; XSAVEC only what is in use, and that cannot be more than there was.
const SAVED: u64 = 0xfc;

fn counted(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

fn image(ice: &Ice, _: &Options) -> Result<String> {
    machine(&ice.freeze.header)?;
    ice.root()?;
    if let Some(note) = ice.all::<Notes>().flat_map(|(_, n)| &n.notes).find(|n| n.object.0 == REDACTED.as_bytes()) {
        return refuse(
            RefusalKind::Image,
            format!("the set was redacted: {}: thaw the set that it was made of", note.text),
        );
    }
    if let Some(note) = ice.all::<Notes>().flat_map(|(_, n)| &n.notes).find(|n| n.object.0 == FROM_CORE.as_bytes()) {
        return refuse(
            RefusalKind::Image,
            format!(
                "the set was made of a core: {}: it can be looked at, and is no program that could go on",
                note.text
            ),
        );
    }
    let (processes, threads) = (ice.processes().len(), ice.all::<Thread>().count());
    Ok(format!(
        "{}, {}; whether their pages are whole cryo-inspect verify says",
        counted(processes, "process", "processes"),
        counted(threads, "thread", "threads")
    ))
}

fn descriptors(ice: &Ice, options: &Options) -> Result<String> {
    let known = |fd| ice.all::<Descriptors>().any(|(_, d)| d.descriptors.iter().any(|d| d.fd == fd));
    if let Some(fd) = options.fds.iter().filter_map(|rule| rule.fd).find(|fd| !known(*fd)) {
        return refuse(RefusalKind::Argument, format!("--fd {fd}: the program has no such descriptor"));
    }
    Ok(counted(ice.all::<Descriptors>().map(|(_, d)| d.descriptors.len()).sum(), "descriptor", "descriptors"))
}

fn memory(ice: &Ice, _: &Options) -> Result<String> {
    for o in ice.all::<Objects>().flat_map(|(_, objects)| &objects.objects) {
        if o.size > LARGEST {
            return refuse(RefusalKind::Image, format!("{}: no file has {} bytes", o.path, o.size));
        }
    }
    for (_, vmas) in ice.all::<Vmas>() {
        for v in &vmas.vmas {
            if v.backing.0 > Backing::SPECIAL.0 {
                return refuse(
                    RefusalKind::Image,
                    format!("memory {}-{}: backing {} is unknown to this release", v.start, v.end, v.backing.0),
                );
            }
            if v.name.0 == b"[vdso]" && v.end.0 - v.start.0 > MAX_VDSO {
                return refuse(
                    RefusalKind::Image,
                    format!("memory {}-{} ([vdso]): no kernel has one of that size", v.start, v.end),
                );
            }
            if v.end.0 > ADDRESSES || v.offset > LARGEST {
                return refuse(RefusalKind::Image, format!("memory {}-{}: no process has such memory", v.start, v.end));
            }
        }
    }
    Ok(counted(ice.all::<Vmas>().map(|(_, v)| v.vmas.len()).sum(), "range", "ranges"))
}

fn resource_limits(ice: &Ice, options: &Options) -> Result<String> {
    ice.all::<Limits>().try_for_each(|(_, l)| limits::check(l, options))?;
    Ok("what it may use is allowed here".into())
}

fn users(ice: &Ice, options: &Options) -> Result<String> {
    ice.all::<Credentials>().try_for_each(|(_, c)| credentials::check(c, options))?;
    if ice.all::<Process>().any(|(id, _)| ice.get::<Credentials>(id).is_none()) {
        return refuse(RefusalKind::Image, "the .frost does not say in whose name the program acts (no CRED section)");
    }
    if options.own_credentials {
        return Ok("it goes on as you are (--own-credentials)".into());
    }
    let mut uids: Vec<u32> = ice.all::<Credentials>().map(|(_, c)| c.uid[1]).collect();
    uids.sort_unstable();
    uids.dedup();
    let uids: Vec<String> = uids.iter().map(u32::to_string).collect();
    Ok(format!("uid {}", uids.join(", ")))
}

fn restrictions(ice: &Ice, _: &Options) -> Result<String> {
    if ice.all::<Seccomp>().any(|(_, s)| s.mode != 0) {
        seccomp::check()?;
        return Ok("its filters may be put in force".into());
    }
    Ok("it has none".into())
}

/// Only where it is to have one: what else would need one has a way around.
fn namespaces(_: &Ice, options: &Options) -> Result<String> {
    match namespace::check() {
        Ok(()) => Ok("a pid namespace can be made, if one is needed".into()),
        Err(e) if options.pid == Pid::Namespace => Err(e.into()),
        Err(e) => Ok(format!("none is needed; none could be made ({e})")),
    }
}

/// That what the image uses of it is there, only the thaw itself can tell.
fn kernel(ice: &Ice, _: &Options) -> Result<String> {
    let now = rustix::system::uname();
    let now = [now.sysname(), now.release()].map(|s| s.to_string_lossy().into_owned()).join(" ");
    let behind =
        clocks::behind(ice).map(|b| format!("; its clocks are {} behind, which is made up for", clocks::words(b)));
    let then = ice.get::<Origin>(0).map(|o| format!(", frozen under {}", o.kernel)).unwrap_or_default();
    Ok(format!("{now}{then}{}; no module is needed", behind.unwrap_or_default()))
}

fn files(ice: &Ice, options: &Options) -> Result<String> {
    let (root, _) = ice.root()?;
    let rights = credentials::fs_rights(ice, root, options)?;
    let same_machine = identity::same_machine(ice);
    let mut found: BTreeMap<Vec<u8>, Option<String>> = BTreeMap::new();
    let mut hashes = Hashes::default();
    {
        let _entered = rights.enter()?;
        let mapped: Vec<u64> = ice.all::<Vmas>().flat_map(|(_, v)| &v.vmas).map(|v| v.object).collect();
        for o in ice.all::<Objects>().flat_map(|(_, o)| &o.objects) {
            if o.kind != ObjectKind::FILE || o.path.first() != Some(&b'/') || !mapped.contains(&o.id) {
                continue;
            }
            look(&o.path, options, &mut found, |meta, file| {
                let same = file.is_some_and(|file| same_file(o, file, &mut hashes));
                let other = || "its content is another one".to_owned();
                (!same).then(|| Frozen::from(o).differs(meta, same_machine).unwrap_or_else(other))
            });
        }
        for (_, f) in ice.all::<OpenFile>().filter(|(_, f)| f.object == 0 && !f.path.starts_with(b"/proc/")) {
            look(&f.path, options, &mut found, |meta, _| Frozen::from(f).differs(meta, same_machine));
        }
    }
    let count = found.len();
    let wrong = found.into_iter().filter_map(|(path, why)| {
        let text = format!("{}: {}: bring it back, or use {}", Bytes(path.clone()), why?, file_map::advice(&path));
        Some(Refusal::new(RefusalKind::File, text))
    });
    several(wrong.collect(), "files")?;
    Ok(format!("{}, as when it was frozen", counted(count, "file", "files")))
}

/// Looks at the file of a path of the image, once.
fn look(
    path: &[u8],
    options: &Options,
    found: &mut BTreeMap<Vec<u8>, Option<String>>,
    differs: impl FnOnce(&std::fs::Metadata, Option<&std::fs::File>) -> Option<String>,
) {
    use std::os::unix::ffi::OsStrExt;
    let mapped = options.mapped(path);
    let here = std::path::Path::new(std::ffi::OsStr::from_bytes(mapped.as_deref().unwrap_or(path)));
    let why = match here.metadata() {
        Err(e) => Some(e.to_string()),
        // The person says that it is the right one.
        Ok(_) if mapped.is_some() => None,
        Ok(meta) if meta.is_file() => differs(&meta, std::fs::File::open(here).ok().as_ref()),
        Ok(meta) => differs(&meta, None),
    };
    let known = found.entry(path.to_vec()).or_default();
    *known = known.take().or(why);
}

fn several(mut all: Vec<Refusal>, what: &str) -> Result<()> {
    match all.len() {
        0 => Ok(()),
        1 => Err(all.remove(0).into()),
        n => Err(Refusals { all, answer: format!("{n} {what} stand in the way"), add: None }.into()),
    }
}

fn ports(ice: &Ice, options: &Options) -> Result<String> {
    let mut listens = Vec::new();
    let mut taken = Vec::new();
    for (id, s) in ice.all::<Inet>() {
        let datagrams = s.kind == libc::SOCK_DGRAM as u32;
        if s.local.port == 0 || !(s.state == State::LISTENING || datagrams) {
            continue;
        }
        let all = ice.all::<Descriptors>().flat_map(|(_, d)| &d.descriptors);
        let fd = all.filter(|d| d.description == id).map(|d| d.fd).next().unwrap_or_default();
        if options.fds.iter().any(|rule| rule.fd == Some(fd)) {
            continue;
        }
        let address = s.local.plain(s.family);
        let tried = socket::socket(s.family, s.kind, s.protocol).and_then(|at| {
            inet_socket::share(&at)?;
            socket::bind(&at, &s.local.sockaddr(s.family))
        });
        match tried {
            Ok(()) => listens.push(address.to_string()),
            Err(e) => taken.push(Refusal::new(
                RefusalKind::Socket,
                format!("fd {fd}: {}", inet_socket::unavailable(fd, address, &e)),
            )),
        }
    }
    several(taken, "addresses")?;
    Ok(if listens.is_empty() { "it has none".into() } else { format!("{}: free", listens.join(", ")) })
}

fn registers(ice: &Ice, _: &Options) -> Result<String> {
    let image: &Cpu = ice.need(0)?;
    let held = ice.all::<Xstate>().fold(0, |held, (_, x)| held | xstate::held(x));
    let missing = held & image.in_use.0 & !cpu::xcr0();
    if missing != 0 {
        return refuse(
            RefusalKind::Machine,
            format!(
                "this CPU lacks registers that the program has in use: {} (it was frozen on: {}): thaw it on a CPU that has them",
                components(missing),
                image.brand
            ),
        );
    }
    Ok(match held & image.in_use.0 {
        0 => "general ones only".into(),
        used => components(used),
    })
}

fn instructions(ice: &Ice, options: &Options) -> Result<String> {
    let image: &Cpu = ice.need(0)?;
    if options.ignore_cpu {
        return Ok("not asked (--ignore-cpu)".into());
    }
    let xcr0 = cpu::xcr0();
    let (_, here) = cpu::brand_and_features();
    let lacking: Vec<String> =
        image.features.iter().map(Bytes::lossless).filter(|f| !here.is_empty() && !here.contains(f)).collect();
    if !lacking.is_empty() {
        return refuse(
            RefusalKind::Machine,
            format!(
                "this CPU lacks {}, which the program may have chosen to use when it started on: {} \
             (use --ignore-cpu if you know that it did not)",
                lacking.join(", "),
                image.brand
            ),
        );
    }
    let has = |feature: &[u8]| image.features.iter().any(|f| f.0 == feature);
    let end = |end: u64, offset: u32, size: u32| end.max(u64::from(offset) + u64::from(size));
    let room = ice.all::<Xstate>().flat_map(|(_, x)| x.layout.iter()).fold(576, |e, c| end(e, c.offset, c.size));
    let need = cpu::xstate_layout(xcr0 & SAVED).iter().fold(576, |e, c| end(e, c.offset, c.size));
    if has(b"xsave") && !has(b"xsavec") && need > room {
        return refuse(
            RefusalKind::Machine,
            format!(
                "this CPU has registers that are new to the program: {}. Its dynamic linker may save them where it made room for \
             those of: {} (use --ignore-cpu if it is static, or was started with LD_BIND_NOW)",
                components(xcr0 & !image.xcr0.0 & SAVED),
                image.brand
            ),
        );
    }
    Ok(format!("all {} that it was started with", counted(image.features.len(), "set", "sets")))
}

fn components(bits: u64) -> String {
    let name = |i| COMPONENTS.iter().find(|c| c.0 == i).map_or(format!("component {i}"), |c| c.1.to_owned());
    let names: Vec<String> = (0..64).filter(|i| bits >> i & 1 != 0).map(name).collect();
    names.join(", ")
}
