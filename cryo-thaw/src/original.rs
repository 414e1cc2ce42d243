//! The original, where the set comes straight from its freezer on this machine: `cryo-freeze P -o - | cryo-thaw -`.
//!
//! It holds the ids that the program shall have again, and ends only when its freezer knows that the whole set was taken. So the whole set is taken
//! before the ids are decided on.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use cryo_tracee::proc::Status;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};

use crate::Result;
use crate::error::About;
use crate::ice::{Ice, Pages, Pipe};
use crate::ids;
use crate::options::{Options, Pid};

/// How long a freezer that knows that all was taken may need to end the original, and its parent to reap it.
const LIMIT: Duration = Duration::from_secs(5);

/// Lets the original of a set that comes down a pipe end, where that frees ids which may be chosen. One that goes on (`--leave-running`) is not
/// waited for.
pub fn let_end(ice: &mut Ice, options: &Options) -> Result<()> {
    let (_, process) = ice.root()?;
    let Ok(pid) = i32::try_from(process.pid) else { return Ok(()) };
    if !matches!(options.pid, Pid::Auto | Pid::Same) || !ids::may_choose() || !is_being_frozen(pid) {
        return Ok(());
    }
    let Some(Pages::Pipe { stream, .. }) = &mut ice.pages else { return Ok(()) };
    stream.input_mut().read_ahead(&mut || is_being_frozen(pid)).about(|| "reading the set ahead".into())?;
    let begun = Instant::now();
    while (is_being_frozen(pid) || is_zombie(pid)) && begun.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Is it in the hands of a cryo-freeze?
fn is_being_frozen(pid: i32) -> bool {
    let tracer = Status::of(pid).ok().and_then(|s| s.number("TracerPid")).and_then(|t| i32::try_from(t).ok());
    let tracer = tracer.filter(|t| *t != 0).and_then(|t| Status::of(t).ok());
    tracer.is_some_and(|t| t.text("Name") == Some("cryo-freeze"))
}

fn is_zombie(pid: i32) -> bool {
    Status::of(pid).is_ok_and(|s| s.text("State").is_some_and(|s| s.starts_with('Z')))
}

/// A set on standard input, of which a part may have been read ahead, into memory.
pub struct Stdin {
    ahead: Option<File>,
    pipe: File,
}

impl Stdin {
    /// All of it is still to be read.
    pub fn new(pipe: File) -> Self {
        Self { ahead: None, pipe }
    }
}

impl Read for Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(ahead) = &mut self.ahead {
            match ahead.read(buf)? {
                0 => self.ahead = None,
                n => return Ok(n),
            }
        }
        self.pipe.read(buf)
    }
}

impl Pipe for Stdin {
    fn waiting(&self) -> u64 {
        self.ahead.as_ref().map_or(0, Pipe::waiting) + self.pipe.waiting()
    }

    fn read_ahead(&mut self, go_on: &mut dyn FnMut() -> bool) -> io::Result<()> {
        let mut ahead = File::from(memfd_create("the set", MemfdFlags::CLOEXEC)?);
        let mut buf = vec![0; 1 << 20];
        let moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        while go_on() {
            let mut end = [PollFd::from_borrowed_fd(self.pipe.as_fd(), PollFlags::IN)];
            if !matches!(poll(&mut end, Some(&moment)), Ok(1..)) {
                continue;
            }
            match self.pipe.read(&mut buf)? {
                0 => break,
                n => ahead.write_all(&buf[..n])?,
            }
        }
        ahead.rewind()?;
        self.ahead = Some(ahead);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_ahead_comes_first() {
        let (reader, writer) = io::pipe().unwrap();
        let mut writer = File::from(std::os::fd::OwnedFd::from(writer));
        let mut stdin = Stdin::new(File::from(std::os::fd::OwnedFd::from(reader)));
        writer.write_all(b"frozen ").unwrap();
        let mut times = 0;
        stdin
            .read_ahead(&mut || {
                times += 1;
                times == 1
            })
            .unwrap();
        writer.write_all(b"program").unwrap();
        assert_eq!(stdin.waiting(), 14);
        drop(writer);
        let mut all = String::new();
        stdin.read_to_string(&mut all).unwrap();
        assert_eq!(all, "frozen program");
    }
}
