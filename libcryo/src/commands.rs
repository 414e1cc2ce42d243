//! The commands, each started as nobody's child ([`cryo_tracee::orphan`]), and what they report (`--report-fd`).

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use cryo_tracee::orphan::Orphan;
use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::Value;

use crate::error::{CryoError, Error};

/// The descriptor on which a command reports.
const REPORT: usize = 3;

/// How a freeze came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The set is there: the name of its primary file.
    Frozen(String),
    /// We are the thawed copy of who asked for it.
    Thawed,
}

/// Freezes process `pid` with these further arguments of `cryo-freeze`. One that freezes itself goes on, and comes back from here twice.
pub fn freeze(pid: i32, arguments: &[OsString]) -> Result<Outcome, Error> {
    let own = pid == std::process::id() as i32;
    let (report, into) = pipe_with(PipeFlags::CLOEXEC).map_err(std::io::Error::from)?;
    let mut all: Vec<OsString> = vec![pid.to_string().into(), "--report-fd".into(), REPORT.to_string().into()];
    all.extend_from_slice(arguments);
    if own {
        // It goes on whatever is asked for: else nobody would return from here.
        all.retain(|argument| argument != "--leave-running" && argument != "--leave-stopped");
        // In the copy nobody is at the other end of the pipe.
        all.extend(["--leave-running".into(), "--fd".into(), format!("{}=null", report.as_raw_fd()).into()]);
    }
    let null = File::open("/dev/null")?;
    let command = make("cryo-freeze", &all, &[null.as_fd(), null.as_fd(), null.as_fd(), into.as_fd()])?;
    drop((into, null));
    if own {
        cryo_tracee::orphan::allow_tracing(command.pid);
    }
    command.go()?;
    match outcome(report, "frozen")? {
        Some(path) => Ok(Outcome::Frozen(path.as_str().unwrap_or_default().to_owned())),
        None => Ok(Outcome::Thawed),
    }
}

/// Thaws a set with these further arguments of `cryo-thaw`; returns the pid of its root. Its standard descriptors are the caller's.
pub fn thaw(name: &std::ffi::OsStr, arguments: &[OsString]) -> Result<i32, Error> {
    let (report, into) = pipe_with(PipeFlags::CLOEXEC).map_err(std::io::Error::from)?;
    let mut all: Vec<OsString> =
        vec![name.to_owned(), "--detach".into(), "--report-fd".into(), REPORT.to_string().into()];
    all.extend_from_slice(arguments);
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let null = File::open("/dev/null")?;
    // A caller may have closed them.
    let open = |fd: BorrowedFd<'_>| rustix::io::fcntl_getfd(fd).is_ok();
    let mut given = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), into.as_fd()];
    for fd in &mut given {
        if !open(*fd) {
            *fd = null.as_fd();
        }
    }
    make("cryo-thaw", &all, &given)?.go()?;
    drop(into);
    let pid = outcome(report, "thawed")?.and_then(|pid| pid.as_i64());
    pid.map(|pid| pid as i32).ok_or_else(|| Error::new(CryoError::Failed, "cryo-thaw said nothing of a pid"))
}

/// What `cryo-inspect` has to say of a set, as JSON.
pub fn inspect(name: &std::ffi::OsStr) -> Result<String, Error> {
    let (out, into) = pipe_with(PipeFlags::CLOEXEC).map_err(std::io::Error::from)?;
    let (errors, errors_in) = pipe_with(PipeFlags::CLOEXEC).map_err(std::io::Error::from)?;
    let null = File::open("/dev/null")?;
    let arguments = ["dump".into(), name.to_owned(), "--format".into(), "json".into()];
    make("cryo-inspect", &arguments, &[null.as_fd(), into.as_fd(), errors_in.as_fd()])?.go()?;
    drop((into, errors_in));
    let mut json = String::new();
    File::from(out).read_to_string(&mut json)?;
    let mut said = String::new();
    File::from(errors).read_to_string(&mut said)?;
    if serde_json::from_str::<Value>(&json).is_ok() {
        return Ok(json);
    }
    let said = said.trim().trim_start_matches("cryo-inspect: ");
    Err(Error::new(CryoError::Image, if said.is_empty() { "cryo-inspect said nothing" } else { said }))
}

fn make(command: &str, arguments: &[OsString], given: &[BorrowedFd<'_>]) -> Result<Orphan, Error> {
    let path = find(command)?;
    let string = |text: OsString| {
        CString::new(text.into_vec()).map_err(|_| Error::new(CryoError::Argument, "an argument has a NUL byte"))
    };
    let argv = [path.clone().into_os_string()].into_iter().chain(arguments.iter().cloned()).map(string);
    let argv = argv.collect::<Result<Vec<CString>, Error>>()?;
    let variable = |(name, value): (OsString, OsString)| string([name, value].join("=".as_ref()));
    let envp = std::env::vars_os().map(variable).collect::<Result<Vec<CString>, Error>>()?;
    Ok(Orphan::make(&string(path.into_os_string())?, &argv, &envp, given)?)
}

/// The commands are in $CRYO_BIN_DIR or in the path; for a program with more rights than who started it, only where they are installed.
fn find(command: &str) -> Result<PathBuf, Error> {
    let installed = ["/usr/local/bin", "/usr/bin"].map(PathBuf::from);
    let dirs = if cryo_tracee::orphan::has_more_rights() {
        installed.to_vec()
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let first = std::env::var_os("CRYO_BIN_DIR").map(PathBuf::from);
        first.into_iter().chain(std::env::split_paths(&path)).chain(installed).collect()
    };
    let found = dirs.into_iter().map(|dir| dir.join(command)).find(|path| path.is_file());
    found.ok_or_else(|| {
        Error::new(CryoError::Failed, format!("{command} is not in the path: set CRYO_BIN_DIR to where it is"))
    })
}

/// Reads a report to its last line: what stands there under `key`. None if the reader is in another process than before: a thawed one, which has
/// /dev/null in place of the pipe.
fn outcome(report: OwnedFd, key: &str) -> Result<Option<Value>, Error> {
    let mut report = BufReader::new(File::from(report));
    let mut line = String::new();
    loop {
        line.clear();
        if report.read_line(&mut line)? == 0 {
            let pipe = report.get_ref().metadata()?.file_type().is_fifo();
            let ended = Error::new(CryoError::Failed, "the command ended without a word: was it killed?");
            return if pipe { Err(ended) } else { Ok(None) };
        }
        let value: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(found) = value.get(key) {
            return Ok(Some(found.clone()));
        }
        if let Some(text) = value.get("error").and_then(Value::as_str) {
            return Err(Error::new(CryoError::named(value.get("kind").and_then(Value::as_str)), text));
        }
    }
}
