//! A process under an overseer is traced already, by a keeper of its own: that one is asked to freeze it, by a unix socket.
//!
//! The keeper does it with the same library and the same options. It never lets go of the family on the way: a watched call without a tracer would
//! fail with ENOSYS. A line of JSON goes there, and one comes back:
//!
//! * `{"freeze": ["cryo-freeze", "4242", "--force"], "name": "/tmp/ice"}`: the options as on the command line; without a name the set goes into the
//!   descriptor that comes along; with `"links": [[1, "/tmp/out"]]` those that are [expected](Options::links);
//! * `{"frozen": ..., "members": ..., "notes": ...}` or `{"error": ..., "kind": ...}`;
//! * before that, if the question had `"confirm": true`, `{"complete": PATH}` (`-` of a pipe), which is answered by `{"end": true}` or `{"end": false}`: the program
//!   ends, or goes on ([`Confirm`]).

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use cryo_format::prim::Bytes;
use cryo_format::section::outside::Instead;
use cryo_tracee::proc::Status;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};

use crate::cli::Cli;
use crate::error::{About, Error, Refusal, RefusalKind, Refusals, Result};
use crate::freeze::{Frozen, FrozenProcess, Target};
use crate::{Afterwards, Also, Children, Confirm, Ends, Files, Landlock, Live, Options, Shared, Tcp};

/// Where the keeper with this pid listens: a name that needs no file, and that another user may take; see [`Keeper::of`]. It is made of what is the same from every
/// pid namespace: which one the keeper lives in, and its pid there.
pub fn address(keeper: i32) -> std::io::Result<SocketAddr> {
    let namespace = std::fs::metadata(format!("/proc/{keeper}/ns/pid"))?.ino();
    let status = Status::of(keeper).map_err(std::io::Error::other)?;
    let pid = status.inner("NSpid").unwrap_or(keeper as u64);
    SocketAddr::from_abstract_name(format!("overseer-keeper-{namespace}-{pid}"))
}

/// May whoever is at the other end ask for this? Only the same user, or root.
pub fn is_ours(stream: &UnixStream) -> bool {
    let ours = rustix::process::geteuid();
    peer(stream).is_some_and(|(_, uid)| uid == ours.as_raw() || uid == 0)
}

/// Pid and user of who is at the other end; the pid is 0 for one outside of our pid namespace.
fn peer(stream: &UnixStream) -> Option<(i32, u32)> {
    let stream = stream.try_clone().ok()?.into();
    cryo_tracee::sockets::peer(&stream).ok().map(|(pid, uid, _)| (pid, uid))
}

/// The keeper of a family.
pub struct Keeper {
    /// Its pid.
    pub pid: i32,
    stream: UnixStream,
}

impl Keeper {
    /// That of this process, if it has one.
    pub fn of(pid: i32) -> Option<Self> {
        let tracer = Status::of(pid).ok()?.number("TracerPid")? as i32;
        if tracer == 0 || tracer == rustix::thread::gettid().as_raw_pid() {
            return None;
        }
        let stream = UnixStream::connect_addr(&address(tracer).ok()?).ok()?;
        // Not one that has only taken the name.
        (peer(&stream)?.0 == tracer).then_some(Self { pid: tracer, stream })
    }

    /// The pid by which it knows a process of its family: it may live in a pid namespace with them.
    fn theirs(&self, pid: i32) -> Option<i32> {
        let level = Status::of(self.pid).ok()?.text("NSpid")?.split_whitespace().count().checked_sub(1)?;
        Status::of(pid).ok()?.text("NSpid")?.split_whitespace().nth(level)?.parse().ok()
    }

    /// The process of its family that it knows by this pid, as it is seen from here.
    pub fn process(&self, theirs: i32) -> Option<i32> {
        let all = std::fs::read_dir("/proc").ok()?.flatten();
        let mut all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let watched = |pid: i32| Some(Status::of(pid).ok()?.number("TracerPid")? as i32 == self.pid);
        all.find(|pid| watched(*pid) == Some(true) && self.theirs(*pid) == Some(theirs))
    }

    /// Asks it something. The answer, and what it says later, is read from the stream.
    pub fn ask(&self, question: &Value) -> std::io::Result<UnixStream> {
        (&self.stream).write_all(format!("{question}\n").as_bytes())?;
        self.stream.try_clone()
    }

    /// Has it freeze the process, as [`crate::freeze()`] would.
    pub(crate) fn freeze(self, pid: i32, target: &Target<'_>, options: &Options) -> Result<Frozen> {
        let what = || format!("asking process {}, which traces process {pid}", self.pid);
        let words: Vec<String> =
            words(self.theirs(pid).unwrap_or(pid), options).iter().map(|w| lossless(w.as_bytes())).collect();
        let links: Vec<Value> = options.links.iter().map(|(fd, link)| json!([fd, lossless(link)])).collect();
        let mut question = json!({ "freeze": words, "confirm": options.confirm.is_asked(), "links": links });
        let out = match target {
            Target::Name(name) => {
                let name = std::path::absolute(name).about(what)?;
                question["name"] = lossless(name.as_os_str().as_bytes()).into();
                None
            }
            Target::Pipe(file) => Some(file.as_fd()),
        };
        send(&self.stream, format!("{question}\n").as_bytes(), out).about(what)?;
        self.stream.set_read_timeout(Some(Duration::from_millis(20))).about(what)?;
        let (mut reader, mut line, mut told) = (BufReader::new(&self.stream), Vec::new(), false);
        let mut refused = None;
        loop {
            match reader.read_until(b'\n', &mut line) {
                Ok(0) => {
                    return Err(Refusal::new(
                        RefusalKind::Internal,
                        format!("process {}, which traced process {pid}, has ended during the freeze, and the program with it", self.pid),
                    )
                    .into());
                }
                Ok(_) => {
                    let said: Value = serde_json::from_slice(&line).unwrap_or_default();
                    let Some(path) = said["complete"].as_str().and_then(bytes) else { break };
                    refused = options.confirm.ask(Path::new(&OsString::from_vec(path))).err();
                    let answer = json!({ "end": refused.is_none() });
                    (&self.stream).write_all(format!("{answer}\n").as_bytes()).about(what)?;
                    line.clear();
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                    if !told && cryo_tracee::signals::asked_to_end() {
                        told = true;
                        cryo_tracee::signals::kill(self.pid, libc::SIGTERM)?;
                    }
                }
                Err(e) => return Err(e).about(what),
            }
        }
        let reply = from_reply(&serde_json::from_slice(&line).unwrap_or_default());
        // The keeper knows only that the answer was no.
        let mut frozen = refused.map_or(reply, Err)?;
        // As it was named here.
        if let (Target::Name(name), Some(path)) = (target, &frozen.path) {
            frozen.path = path.file_name().map(|file| name.with_file_name(file));
        }
        Ok(frozen)
    }
}

fn send(stream: &UnixStream, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> std::io::Result<()> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = fd.as_slice();
    if !fds.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(fds));
    }
    let sent = sendmsg(stream, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    (&*stream).write_all(&bytes[sent..])
}

/// What a keeper is asked.
pub struct Order {
    /// The process.
    pub pid: i32,
    /// The name of the set; none if it goes down a pipe.
    pub name: Option<PathBuf>,
    /// The choices.
    pub options: Options,
    /// Is who asks to be asked before the original ends?
    pub confirm: bool,
}

impl Order {
    /// Reads it.
    pub fn read(question: &Value) -> Option<Self> {
        let words = question.get("freeze")?.as_array()?.iter().map(|w| bytes(w.as_str()?).map(OsString::from_vec));
        let cli = Cli::try_parse_from(words.collect::<Option<Vec<_>>>()?).ok()?;
        let name = question.get("name").and_then(Value::as_str).and_then(bytes);
        let confirm = question["confirm"] == true;
        let link = |link: &Value| Some((i32::try_from(link[0].as_i64()?).ok()?, bytes(link[1].as_str()?)?));
        let links = question["links"].as_array().into_iter().flatten().map(link).collect::<Option<Vec<_>>>()?;
        let options = Options { links, ..cli.options() };
        Some(Self { pid: cli.pid, name: name.map(|n| OsString::from_vec(n).into()), options, confirm })
    }
}

/// The keeper's side of `{"complete": ...}`: whoever asked for the freeze decides, for as long as they live.
pub fn confirm(stream: &UnixStream) -> std::io::Result<Confirm> {
    let stream = stream.try_clone()?;
    Ok(Confirm::by(move |path| {
        let asked = || -> std::io::Result<bool> {
            stream.set_read_timeout(None)?;
            let complete = json!({ "complete": lossless(path.as_os_str().as_bytes()) });
            (&stream).write_all(format!("{complete}\n").as_bytes())?;
            let mut line = Vec::new();
            BufReader::new(&stream).read_until(b'\n', &mut line)?;
            let answer: Value = serde_json::from_slice(&line).unwrap_or_default();
            Ok(answer["end"] == true)
        };
        match asked() {
            Ok(true) => Ok(()),
            Ok(false) => Err("who asked for the freeze does not want the program to end, or has ended".into()),
            Err(e) => Err(format!("asking who wanted the freeze: {e}")),
        }
    }))
}

/// The command line that says the same.
fn words(pid: i32, options: &Options) -> Vec<OsString> {
    // Each field by name: a new one must not be forgotten. What is known besides is the keeper's own to say.
    let Options {
        afterwards,
        files,
        fds,
        links: _,
        tcp,
        unix,
        shared,
        children,
        also,
        landlock,
        force,
        digests,
        compress,
        keep_watch,
        parent,
        live,
        progress: _,
        confirm: _,
    } = options;
    let mut words: Vec<OsString> = vec!["cryo-freeze".into(), pid.to_string().into()];
    let mut add = |some: &[&str]| words.extend(some.iter().map(OsString::from));
    match afterwards {
        Afterwards::End => {}
        Afterwards::Run => add(&["--leave-running"]),
        Afterwards::Stop => add(&["--leave-stopped"]),
    }
    if *files == Files::Refer {
        add(&["--files", "refer"]);
    }
    match children {
        Children::Take => {}
        Children::Leave => add(&["--children", "leave"]),
        Children::Refuse => add(&["--children", "refuse"]),
    }
    if *landlock == Landlock::Drop {
        add(&["--landlock", "drop"]);
    }
    if *shared == Shared::Copy {
        add(&["--shared", "copy"]);
    }
    match tcp {
        Tcp::Refuse => {}
        Tcp::Close => add(&["--tcp", "close"]),
        Tcp::Keep => add(&["--tcp", "keep"]),
    }
    if *unix == Ends::Close {
        add(&["--unix", "close"]);
    }
    if *force {
        add(&["--force"]);
    }
    if !digests {
        add(&["--no-digest"]);
    }
    match live {
        Live::Auto => {}
        Live::Always => add(&["--live"]),
        Live::Never => add(&["--no-live"]),
    }
    if *keep_watch {
        add(&["--keep-watch"]);
    }
    if let Some(level) = compress {
        add(&[&format!("--compress={level}")]);
    }
    match also {
        Also::Nobody => {}
        Also::Session => add(&["--session"]),
        Also::Cgroup(path) => words.extend(["--cgroup".into(), absolute(path).into_os_string()]),
    }
    if let Some(parent) = parent {
        words.extend(["--parent".into(), absolute(parent).into_os_string()]);
    }
    for rule in fds {
        let fd = rule.fd.map_or("outside".into(), |fd| fd.to_string());
        let mut text = OsString::from(format!("{fd}="));
        match &rule.instead {
            Instead::Inherit => text.push("inherit"),
            Instead::Null => text.push("null"),
            Instead::Close => text.push("close"),
            Instead::File(path) => text.push(OsString::from_vec(path.0.clone())),
        }
        words.extend(["--fd".into(), text]);
    }
    words
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn lossless(bytes: &[u8]) -> String {
    Bytes::from(bytes.to_vec()).lossless()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    Bytes::from_lossless(text).map(|b| b.0)
}

/// What a keeper answers.
pub fn reply(done: &Result<Frozen>) -> Value {
    let error = |e: &Refusal| json!({ "error": e.text, "kind": format!("{:?}", e.kind) });
    match done {
        Ok(frozen) => json!({
            "frozen": frozen.path.as_ref().map(|p| lossless(p.as_os_str().as_bytes())),
            "members": frozen.members.iter().map(|m| json!([m.pid, m.comm, m.pages])).collect::<Vec<_>>(),
            "notes": frozen.notes,
            "remarks": frozen.remarks,
        }),
        Err(Error::Several(several)) => json!({
            "several": several.all.iter().map(error).collect::<Vec<_>>(), "answer": several.answer, "add": several.add,
        }),
        Err(Error::Asked) => json!({ "asked": true }),
        Err(e) => json!({ "error": e.to_string(), "kind": e.kind().map(|kind| format!("{kind:?}")) }),
    }
}

fn from_reply(reply: &Value) -> Result<Frozen> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    if reply.get("asked").is_some() {
        return Err(Error::Asked);
    }
    let refusal = |e: &Value| {
        Refusal::new(RefusalKind::named(&text(&e["kind"])).unwrap_or(RefusalKind::Internal), text(&e["error"]))
    };
    if let Some(several) = reply.get("several").and_then(Value::as_array) {
        let add = ["--fd outside=null"].into_iter().find(|add| reply["add"] == *add);
        return Err(Refusals { all: several.iter().map(refusal).collect(), answer: text(&reply["answer"]), add }.into());
    }
    if reply.get("frozen").is_none() {
        if reply["kind"].is_null() {
            return Err(Error::Io { what: "the keeper".into(), error: std::io::Error::other(text(&reply["error"])) });
        }
        return Err(refusal(reply).into());
    }
    let member = |m: &Value| FrozenProcess {
        pid: m[0].as_i64().unwrap_or(0) as i32,
        comm: text(&m[1]),
        pages: m[2].as_u64().unwrap_or(0),
    };
    Ok(Frozen {
        path: reply["frozen"].as_str().and_then(bytes).map(|p| OsString::from_vec(p).into()),
        members: reply["members"].as_array().into_iter().flatten().map(member).collect(),
        notes: texts(&reply["notes"]),
        remarks: texts(&reply["remarks"]),
    })
}

/// The descriptor that came with a question, as the place for the set.
pub fn receive(stream: &UnixStream) -> std::io::Result<(Vec<u8>, Option<File>)> {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let (mut line, mut file) = (Vec::new(), None);
    while !line.ends_with(b"\n") && line.len() < 1 << 20 {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut buf = vec![0; 4096];
        let got = recvmsg(stream, &mut [std::io::IoSliceMut::new(&mut buf)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                file = fds.map(File::from).next();
            }
        }
        if got.bytes == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        line.extend_from_slice(&buf[..got.bytes]);
    }
    Ok((line, file))
}
