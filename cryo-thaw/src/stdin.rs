//! A set on standard input, or out of a file.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};

/// Bytes that come one after another.
pub trait Pipe: Read {
    /// How many more are there already.
    fn waiting(&self) -> u64;

    /// Reads into memory what is still to come, for as long as `go_on` says; what is at hand already need not be.
    fn read_ahead(&mut self, _go_on: &mut dyn FnMut() -> bool) -> io::Result<()> {
        Ok(())
    }
}

impl Pipe for File {
    fn waiting(&self) -> u64 {
        rustix::io::ioctl_fionread(self).unwrap_or(0)
    }
}

impl Pipe for BufReader<File> {
    fn waiting(&self) -> u64 {
        self.buffer().len() as u64 + self.get_ref().waiting()
    }
}

impl Pipe for io::Cursor<Vec<u8>> {
    fn waiting(&self) -> u64 {
        (self.get_ref().len() as u64).saturating_sub(self.position())
    }
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
