//! Where sets are sent (`--to`): a directory of this machine, or of another one, by ssh.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use cryo_format::text::message;
use cryo_tracee::signals;
use rustix::fs::{MemfdFlags, memfd_create};

use super::receive;
use super::sets::Sets;

/// Nobody is there to type a password, and the program stands still meanwhile: what does not answer is given up.
const SSH: &str = "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15";

/// A directory somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Here, as far as the file system reaches.
    Here(PathBuf),
    /// `user@host`, and a directory there.
    There(String, PathBuf),
}

impl From<OsString> for Place {
    /// As scp(1) and rsync(1) tell them apart: a colon before the first slash.
    fn from(text: OsString) -> Self {
        let bytes = text.as_bytes();
        let host = bytes.iter().position(|b| *b == b':').filter(|at| *at > 0 && !bytes[..*at].contains(&b'/'));
        match host.map(|at| (std::str::from_utf8(&bytes[..at]), &bytes[at + 1..])) {
            Some((Ok(host), dir)) => {
                let dir = if dir.is_empty() { b"." } else { dir };
                Self::There(host.to_owned(), OsString::from_vec(dir.to_vec()).into())
            }
            _ => Self::Here(text.into()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(dir) => write!(f, "{}", dir.display()),
            Self::There(host, dir) => write!(f, "{host}:{}", dir.display()),
        }
    }
}

/// A place, with all that is needed to send sets there.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Where they go.
    pub place: Place,
    /// How many stay there.
    pub keep: u32,
    /// The command that reaches another machine, in the place of ssh.
    pub ssh: Option<String>,
}

impl Receiver {
    /// Is somebody there who can take a set? Asked before hours are spent on what cannot be sent.
    pub fn ready(&self) -> Result<()> {
        let ready = match &self.place {
            Place::Here(dir) => Sets::open(dir, true).map(drop),
            Place::There(host, dir) => self.there(host, dir, &["--ready"], None).map(drop),
        };
        ready.with_context(|| self.place.to_string())
    }

    /// Sends a set, and returns what it is called there: it is complete there, verified, and on the disk.
    pub fn send(&self, set: &Path) -> Result<String> {
        let sent = match &self.place {
            Place::Here(dir) => Joined::open(set)
                .and_then(|files| receive::receive(files, dir, self.keep))
                .map(|name| format!("{}.freeze", name.display())),
            Place::There(host, dir) => {
                let said = self.there(host, dir, &["--keep", &self.keep.to_string()], Some(set));
                said.map(|name| format!("{host}:{name}"))
            }
        };
        sent.with_context(|| format!("not sent to {}", self.place))
    }

    /// Runs `overseer receive` on the other machine. Returns its first line.
    fn there(&self, host: &str, dir: &Path, options: &[&str], set: Option<&Path>) -> Result<String> {
        // ssh would take it for an option.
        if host.starts_with('-') {
            bail!("{host:?} is no host");
        }
        let ssh = self.ssh.as_deref().unwrap_or(SSH);
        // Quoted as in a shell.
        let mut words =
            shlex::split(ssh).with_context(|| format!("--ssh {ssh:?}: a quote without its end"))?.into_iter();
        let Some(program) = words.next() else { bail!("--ssh names no command") };
        // ssh gives it to a shell.
        let mut remote = OsString::from(format!("overseer receive {} -- ", options.join(" ")));
        remote.push(quoted(dir));
        let said = || memfd_create("said", MemfdFlags::CLOEXEC).map(File::from);
        let (mut out, mut err) = (said()?, said()?);
        let mut command = Command::new(&program);
        command.args(words).arg(host).arg(remote);
        command.stdin(if set.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(out.try_clone()?).stderr(err.try_clone()?);
        let mut child = signals::spawn(&mut command).with_context(|| format!("starting {program}"))?;
        // Where it ends before it has read all, it says why; that counts.
        let sent = match (set, child.stdin.take()) {
            (Some(set), Some(mut pipe)) => {
                Joined::open(set).and_then(|mut files| Ok(std::io::copy(&mut files, &mut pipe).map(drop)?))
            }
            _ => Ok(()),
        };
        let ended = child.wait()?;
        let read = |file: &mut File| -> Result<String> {
            let mut text = Vec::new();
            file.rewind()?;
            file.take(1 << 16).read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text).trim().to_owned())
        };
        let (out, err) = (read(&mut out)?, read(&mut err)?);
        if !ended.success() {
            let why = if err.is_empty() { "without a word".into() } else { message(&err) };
            bail!("{program} {host} overseer receive ended with {ended}: {why}");
        }
        sent?;
        Ok(message(out.lines().next().unwrap_or_default()))
    }
}

/// A path as the shell of another machine takes it, byte for byte.
fn quoted(path: &Path) -> OsString {
    let mut word = b"'".to_vec();
    for byte in path.as_os_str().as_bytes() {
        if *byte == b'\'' { word.extend_from_slice(br"'\''") } else { word.push(*byte) }
    }
    word.push(b'\'');
    OsString::from_vec(word)
}

/// The three files of a set as one.
struct Joined {
    files: Vec<File>,
}

impl Joined {
    fn open(set: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for (_, path) in cryo_format::set::locate(set).into_iter().rev() {
            files.push(File::open(&path).with_context(|| path.display().to_string())?);
        }
        Ok(Self { files })
    }
}

impl Read for Joined {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        while let Some(file) = self.files.last_mut() {
            match file.read(buf)? {
                0 if !buf.is_empty() => drop(self.files.pop()),
                n => return Ok(n),
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_by_its_colon() {
        let there = |host: &str, dir: &str| Place::There(host.into(), dir.into());
        for (text, wanted) in [
            ("/srv/ice", Place::Here("/srv/ice".into())),
            ("ice", Place::Here("ice".into())),
            ("./a:b", Place::Here("./a:b".into())),
            (":x", Place::Here(":x".into())),
            ("beta:/srv/ice", there("beta", "/srv/ice")),
            ("me@beta:ice", there("me@beta", "ice")),
            ("beta:", there("beta", ".")),
        ] {
            assert_eq!(Place::from(OsString::from(text)), wanted, "{text}");
        }
        assert_eq!(quoted(Path::new("a b'c")), r"'a b'\''c'");
    }
}
