//! Another process's memory.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use crate::error::Context;
use crate::{Error, Result, fault};

/// The memory of a process that we trace.
pub struct Memory {
    pid: i32,
    /// /proc/PID/mem: slower than process_vm_readv(2), but it reads and writes through every protection.
    file: File,
}

impl Memory {
    /// Opens the memory of `pid`.
    pub fn open(pid: i32) -> Result<Self> {
        let path = format!("/proc/{pid}/mem");
        let file = OpenOptions::new().read(true).write(true).open(&path).about(|| format!("opening {path}"))?;
        Ok(Self { pid, file })
    }

    /// A second handle, for another thread of ours.
    pub fn again(&self) -> Result<Self> {
        Self::open(self.pid)
    }

    /// Reads exactly `buf.len()` bytes at `addr`.
    pub fn read(&self, addr: u64, buf: &mut [u8]) -> Result<()> {
        fault::point().about(|| self.what("reading", addr, buf.len()))?;
        let mut done = 0;
        while done < buf.len() {
            let at = addr + done as u64;
            let local = libc::iovec { iov_base: buf[done..].as_mut_ptr().cast(), iov_len: buf.len() - done };
            let remote = libc::iovec { iov_base: at as *mut libc::c_void, iov_len: buf.len() - done };
            // SAFETY: `local` is the rest of `buf`; the kernel checks `remote` in the other process.
            let n = unsafe { libc::process_vm_readv(self.pid, &raw const local, 1, &raw const remote, 1, 0) };
            if n > 0 {
                done += n as usize;
            } else {
                // Write-only, execute-only and PROT_NONE pages.
                let rest = buf.len() - done;
                let piece = rest.min(4096 - (at as usize & 4095));
                self.file.read_exact_at(&mut buf[done..done + piece], at).about(|| self.what("reading", at, piece))?;
                done += piece;
            }
        }
        Ok(())
    }

    /// Reads each of these, as [`Memory::read`] does: many small ones in one call. A piece that cannot be read is an error, and then what was read of the
    /// others is not known.
    pub fn read_each(&self, pieces: &mut [(u64, &mut [u8])]) -> Result<()> {
        /// What one call takes (UIO_MAXIOV).
        const MANY: usize = 1024;
        for group in pieces.chunks_mut(MANY) {
            let about = |group: &[(u64, &mut [u8])]| self.what("reading", group[0].0, group[0].1.len());
            fault::point().about(|| about(group))?;
            let iovec = |base: *mut libc::c_void, len| libc::iovec { iov_base: base, iov_len: len };
            let local: Vec<_> = group.iter_mut().map(|(_, buf)| iovec(buf.as_mut_ptr().cast(), buf.len())).collect();
            let remote: Vec<_> = group.iter().map(|(at, buf)| iovec(*at as *mut libc::c_void, buf.len())).collect();
            let count = group.len() as libc::c_ulong;
            // SAFETY: each of `local` is a buffer of the group, which nobody else has; the kernel checks `remote` in the other process.
            let n = unsafe { libc::process_vm_readv(self.pid, local.as_ptr(), count, remote.as_ptr(), count, 0) };
            if n < 0 || n as usize != group.iter().map(|(_, buf)| buf.len()).sum::<usize>() {
                group.iter_mut().try_for_each(|(at, buf)| self.read(*at, buf))?;
            }
        }
        Ok(())
    }

    /// Writes through any protection.
    pub fn write(&self, addr: u64, bytes: &[u8]) -> Result<()> {
        fault::point().about(|| self.what("writing", addr, bytes.len()))?;
        self.file.write_all_at(bytes, addr).about(|| self.what("writing", addr, bytes.len()))
    }

    /// Writes to memory that is mapped writable: one copy, no protection is overcome.
    pub fn fill(&self, addr: u64, bytes: &[u8]) -> Result<()> {
        fault::point().about(|| self.what("writing", addr, bytes.len()))?;
        let mut done = 0;
        while done < bytes.len() {
            let local = libc::iovec { iov_base: bytes[done..].as_ptr().cast_mut().cast(), iov_len: bytes.len() - done };
            let remote =
                libc::iovec { iov_base: (addr + done as u64) as *mut libc::c_void, iov_len: bytes.len() - done };
            // SAFETY: the kernel only reads from `local`, which is the rest of `bytes`, and checks `remote` in the other process.
            let n = unsafe { libc::process_vm_writev(self.pid, &raw const local, 1, &raw const remote, 1, 0) };
            if n <= 0 {
                return Err(Error::last(self.what("filling", addr + done as u64, bytes.len() - done)));
            }
            done += n as usize;
        }
        Ok(())
    }

    /// Puts something back while undoing: nothing to do if it fails.
    pub(crate) fn restore(&self, addr: u64, bytes: &[u8]) {
        fault::moment();
        let _ = self.file.write_all_at(bytes, addr);
    }

    fn what(&self, verb: &str, addr: u64, len: usize) -> String {
        format!("{verb} {len} bytes at {addr:#x} of process {}", self.pid)
    }
}
