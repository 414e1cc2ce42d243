//! The lists: of each process its descriptors with their history, its handlers, timers and children, as the watched calls have told them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use cryo_tracee::proc;
use serde::Serialize;

use super::record::{PathBytes, Timer, What};

/// A descriptor, as far as the kernel forgets how it came about.
#[derive(Clone, Debug, Serialize)]
pub struct Descriptor {
    /// Its place in the order in which the family made them, from 1 on; 0 for those that it was started with.
    pub order: u64,
    /// What it is: file, pipe, socket, eventfd, ...
    pub kind: String,
    /// The path by which it was opened, as the program gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBytes>,
    /// The absolute path that it was, then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absolute: Option<PathBytes>,
    /// Names that the family has given the file since.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub renamed: Vec<PathBytes>,
    /// Flags and mode of the open(2).
    pub flags: u64,
    /// 0 where no file could be made.
    pub mode: u32,
    /// The descriptor that it was duplicated from, or accepted from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<i32>,
}

/// What becomes of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // sigaction(2)
pub struct Handler {
    pub handler: u64,
    pub flags: u64,
    pub mask: u64,
}

/// A process of the family.
#[derive(Clone, Debug, Serialize)]
pub struct Member {
    /// Its pid, as the overseer sees it.
    pub pid: i32,
    /// Who made it; 0 for the root.
    pub parent: i32,
    /// What it executed last.
    pub program: PathBytes,
    /// Its descriptors.
    pub descriptors: BTreeMap<i32, Descriptor>,
    /// Signals whose action is not the default.
    pub handlers: BTreeMap<i32, Handler>,
    /// Timers, and whether they were set last or taken back.
    #[serde(serialize_with = "timers")]
    pub timers: BTreeMap<Timer, bool>,
    /// Objects in shared memory and of System V that it has taken.
    pub shared: Vec<String>,
}

fn timers<S: serde::Serializer>(timers: &BTreeMap<Timer, bool>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(timers.iter().map(|(timer, set)| {
        let (kind, id) = match timer {
            Timer::Interval(which) => ("interval", which),
            Timer::Posix(id) => ("posix", id),
        };
        serde_json::json!({ "kind": kind, "id": id, "set": set })
    }))
}

impl Member {
    /// One of which nothing is known.
    pub fn new(pid: i32) -> Self {
        Self {
            pid,
            parent: 0,
            program: PathBytes::default(),
            descriptors: BTreeMap::new(),
            handlers: BTreeMap::new(),
            timers: BTreeMap::new(),
            shared: Vec::new(),
        }
    }
}

/// The whole family.
#[derive(Debug, Default)]
pub struct Lists {
    members: BTreeMap<i32, Member>,
    /// Descriptors made so far.
    made: u64,
}

impl Lists {
    /// The root executes its program: what it has open, and what it ignores, it was given.
    pub fn begin(&mut self, root: i32) {
        let mut member = Member::new(root);
        if let Some(before) = self.members.remove(&root) {
            member.program = before.program;
        }
        let ignored = proc::Status::of(root).map_or(0, |s| s.hex("SigIgn"));
        for signal in (1..=64).filter(|n| ignored >> (n - 1) & 1 != 0) {
            member.handlers.insert(signal, Handler { handler: 1, flags: 0, mask: 0 });
        }
        for fd in proc::descriptors(root).unwrap_or_default() {
            member.descriptors.insert(fd, given(root, fd));
        }
        self.members.insert(root, member);
    }

    /// A family that goes on with these.
    pub fn thawed(members: Vec<Member>) -> Self {
        let descriptors = members.iter().flat_map(|m| m.descriptors.values());
        let made = descriptors.map(|d| d.order).max().unwrap_or(0);
        Self { members: members.into_iter().map(|m| (m.pid, m)).collect(), made }
    }

    /// Makes sure that a process is known: a child may do something before its parent's stop is heard of.
    pub fn born(&mut self, pid: i32, parent: i32) {
        if self.members.contains_key(&pid) {
            return;
        }
        let mut member = self.members.get(&parent).cloned().unwrap_or_else(|| Member::new(pid));
        (member.pid, member.parent) = (pid, parent);
        member.timers.clear(); // fork(2)
        self.members.insert(pid, member);
    }

    /// A process has ended.
    pub fn ended(&mut self, pid: i32) {
        self.members.remove(&pid);
    }

    /// Processes of the family.
    pub fn pids(&self) -> Vec<i32> {
        self.members.keys().copied().collect()
    }

    /// Enters what a process has done.
    pub fn enter(&mut self, pid: i32, what: &What) {
        if let What::Renamed { from, from_dir, to, to_dir } = what {
            self.renamed(&absolute(pid, *from_dir, from), &absolute(pid, *to_dir, to));
        }
        self.made += 1;
        let order = self.made;
        let Some(member) = self.members.get_mut(&pid) else { return };
        let made = |kind: &str, from| Descriptor {
            order,
            kind: kind.into(),
            path: None,
            absolute: None,
            renamed: Vec::new(),
            flags: 0,
            mode: 0,
            from,
        };
        match what {
            What::Opened { fd, path, dir, flags, mode } => {
                let absolute = Some(PathBytes(absolute(pid, *dir, path)));
                let kind = if leads_on(&path.0) { link(pid, *fd).map(|link| kind(&link)) } else { None };
                let made = made(kind.as_deref().unwrap_or("file"), None);
                let new = Descriptor { path: Some(path.clone()), absolute, flags: *flags, mode: *mode, ..made };
                member.descriptors.insert(*fd, new);
            }
            What::Made { fd, kind } => {
                member.descriptors.insert(*fd, made(kind, None));
            }
            What::Pair { fds, kind } => fds.iter().for_each(|fd| {
                member.descriptors.insert(*fd, made(kind, None));
            }),
            What::Socket { fd, .. } => {
                member.descriptors.insert(*fd, made("socket", None));
            }
            What::Accepted { fd, from } => {
                member.descriptors.insert(*fd, made("socket", Some(*from)));
            }
            What::Received { fds, kinds } => fds.iter().zip(kinds).for_each(|(fd, kind)| {
                member.descriptors.insert(*fd, made(kind, None));
            }),
            What::Duplicated { fd, from } => {
                let mut new = member.descriptors.get(from).cloned().unwrap_or_else(|| made("?", None));
                (new.order, new.from) = (order, Some(*from));
                member.descriptors.insert(*fd, new);
            }
            What::Handler { signal, handler, flags, mask } => {
                if *handler == 0 {
                    member.handlers.remove(signal);
                } else {
                    member.handlers.insert(*signal, Handler { handler: *handler, flags: *flags, mask: *mask });
                }
            }
            What::TimerMade { timer, .. } => {
                member.timers.insert(*timer, false);
            }
            What::TimerSet { timer, on } => {
                member.timers.insert(*timer, *on);
            }
            What::TimerGone { timer } => {
                member.timers.remove(timer);
            }
            What::SharedMemory { addr, len, .. } => member.shared.push(format!("{len} bytes at {addr:#x}")),
            What::SysvAttached { addr, id } => member.shared.push(format!("shm {id} at {addr:#x}")),
            What::Sysv { kind, key, id } => member.shared.push(format!("{kind} {id}, key {key:#x}")),
            What::Execute { path } => member.program = path.clone(),
            // execve(2): handlers become the default again, POSIX timers and mappings are gone; what is ignored stays so.
            What::Executed => {
                member.handlers.retain(|_, h| h.handler == 1);
                member.timers.retain(|timer, _| matches!(timer, Timer::Interval(_)));
                member.shared.retain(|text| !text.contains(" at "));
            }
            _ => self.made -= 1,
        }
    }

    fn renamed(&mut self, from: &[u8], to: &[u8]) {
        for descriptor in self.members.values_mut().flat_map(|m| m.descriptors.values_mut()) {
            let Some(now) = descriptor.renamed.last().or(descriptor.absolute.as_ref()) else { continue };
            let new = match now.0.strip_prefix(from) {
                Some(rest) if rest.is_empty() || rest.starts_with(b"/") => [to, rest].concat(),
                _ => continue,
            };
            descriptor.renamed.push(PathBytes(new));
        }
    }

    /// The processes as they are: descriptors that have been closed since are not there any more.
    pub fn now(&self) -> Vec<Member> {
        let mut members: Vec<Member> = self.members.values().cloned().collect();
        for member in &mut members {
            let open = proc::descriptors(member.pid).unwrap_or_default();
            member.descriptors.retain(|fd, _| open.contains(fd));
        }
        members
    }
}

/// Is this path one by which another descriptor is opened, whatever that is (/dev/fd/63, /proc/self/fd/3)?
fn leads_on(path: &[u8]) -> bool {
    [&b"/dev/fd/"[..], b"/dev/std", b"/proc/"].iter().any(|begin| path.starts_with(begin))
}

/// A path of this process, from the root.
fn absolute(pid: i32, dir: i32, path: &PathBytes) -> Vec<u8> {
    if path.0.starts_with(b"/") {
        return path.0.clone();
    }
    let of = if dir < 0 {
        fs::read_link(format!("/proc/{pid}/cwd"))
    } else {
        fs::read_link(format!("/proc/{pid}/fd/{dir}"))
    };
    let mut whole = of.map(|p| p.as_os_str().as_bytes().to_vec()).unwrap_or_default();
    let rest = path.0.strip_prefix(b"./").unwrap_or(&path.0);
    if !whole.ends_with(b"/") {
        whole.push(b'/');
    }
    whole.extend_from_slice(rest);
    whole
}

/// A descriptor that a process was given.
pub fn given(pid: i32, fd: i32) -> Descriptor {
    let link = link(pid, fd).unwrap_or_default();
    let absolute = link.starts_with(b"/").then(|| PathBytes(link.clone()));
    Descriptor { order: 0, kind: kind(&link), absolute, path: None, renamed: Vec::new(), flags: 0, mode: 0, from: None }
}

/// What the kernel says of a descriptor.
pub fn link(pid: i32, fd: i32) -> Option<Vec<u8>> {
    fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok().map(|p| p.as_os_str().as_bytes().to_vec())
}

/// The kind that a link of /proc/PID/fd tells of, in the words of the calls that make it.
pub fn kind(link: &[u8]) -> String {
    let text = String::from_utf8_lossy(link);
    if text.starts_with("/memfd:") || text.starts_with("/secretmem") {
        return "memfd".into();
    }
    if text.starts_with('/') {
        return "file".into();
    }
    let name = text.strip_prefix("anon_inode:").unwrap_or(&text);
    let name = name.trim_matches(['[', ']']).split(':').next().unwrap_or("?");
    match name {
        "eventpoll" => "epoll".into(),
        name => name.into(),
    }
}
