//! seccomp of another thread (ptrace(2)). Reading filters and making calls in spite of them takes CAP_SYS_ADMIN.

use crate::sys::Fault;
use crate::{Error, Host, Process, Result, Stopped, fault};

const PTRACE_O_SUSPEND_SECCOMP: libc::c_int = 1 << 21;
const PTRACE_SECCOMP_GET_FILTER: libc::c_uint = 0x420c;
const PTRACE_SECCOMP_GET_METADATA: libc::c_uint = 0x420d;

/// A filter: flags, and instructions of 8 bytes each.
pub struct Filter {
    /// SECCOMP_FILTER_FLAG_LOG, or 0.
    pub flags: u64,
    /// struct sock_filter, one behind the other.
    pub program: Vec<[u8; 8]>,
}

/// The filters of a stopped thread, the first that was installed first.
pub fn filters(tid: i32) -> Result<Vec<Filter>> {
    let what = || format!("reading the seccomp filters of thread {tid}");
    let mut all = Vec::new();
    loop {
        fault::point().map_err(|e| Error::sys(what(), e))?;
        let nth = all.len();
        // SAFETY: without a buffer only the number of instructions is asked for.
        let count = unsafe { libc::ptrace(PTRACE_SECCOMP_GET_FILTER, tid, nth, 0_usize) };
        if count < 0 {
            let e = Error::last(what());
            return if e.errno() == Some(libc::ENOENT) { Ok(all) } else { Err(e) };
        }
        let mut program = vec![[0; 8]; count as usize];
        // SAFETY: the filter of a stopped thread does not change, so the buffer has room for all of it.
        if unsafe { libc::ptrace(PTRACE_SECCOMP_GET_FILTER, tid, nth, program.as_mut_ptr()) } != count {
            return Err(Error::last(what()));
        }
        let mut metadata = [nth as u64, 0];
        // SAFETY: the kernel reads the first and writes the second of two words, whose size is announced.
        let r = unsafe { libc::ptrace(PTRACE_SECCOMP_GET_METADATA, tid, size_of_val(&metadata), &raw mut metadata) };
        // Kernels before 4.16 have neither the request nor the flag.
        all.push(Filter { flags: if r > 0 { metadata[1] } else { 0 }, program });
    }
}

impl Process {
    /// While they are in our hands, nothing is forbidden to its threads by seccomp.
    pub fn suspend_seccomp(&self) -> Result<()> {
        suspend(&self.threads, libc::PTRACE_O_TRACESYSGOOD)
    }
}

impl Host {
    /// While they are in our hands, nothing is forbidden to its threads by seccomp.
    pub fn suspend_seccomp(&self) -> Result<()> {
        suspend(self.threads(), libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD)
    }
}

fn suspend(threads: &[Stopped], options: libc::c_int) -> Result<()> {
    threads.iter().try_for_each(|t| t.options(options | PTRACE_O_SUSPEND_SECCOMP, Fault::Counted))
}
