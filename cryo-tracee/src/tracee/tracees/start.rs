//! How a watched program begins: we are its parent, and a process beside us, the keeper, is its tracer.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use rustix::pipe::{PipeFlags, pipe_with};

use super::{Filter, OPTIONS, Tracees};
use crate::error::Context;
use crate::sys::{self, Fault, Request};
use crate::{Error, Result, proc, signals};

/// A program that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its pid: a child of ours.
    pub pid: i32,
    /// The process that traces it, a child of ours, too.
    pub keeper: i32,
}

/// Starts a program under this filter. `keep` is what the keeper does, and returns its exit status; of our descriptors it has those of `files`.
///
/// Call it before any thread is started. An error of execve(2) is told as such.
pub fn start(
    words: &[OsString],
    filter: &Filter,
    files: &[RawFd],
    keep: impl FnOnce(Tracees) -> i32,
) -> Result<Started> {
    proc::one_thread("starting a watched program")?;
    let name = words.first().map(|w| w.to_string_lossy().into_owned()).unwrap_or_default();
    let words: Vec<CString> =
        words
            .iter()
            .map(|w| CString::new(w.as_bytes()))
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| Error::sys(format!("starting {name}"), std::io::Error::from_raw_os_error(libc::EINVAL)))?;
    let pipe = || pipe_with(PipeFlags::CLOEXEC).about(|| "making a pipe".into());
    let (go, let_go) = pipe()?;
    let (failed, tell) = pipe()?;
    let (ready, is_ready) = pipe()?;
    // SAFETY: we have one thread, as was just seen, so the child may go on in ordinary code.
    let program = unsafe { libc::fork() };
    if program == 0 {
        drop((let_go, failed, ready));
        let errno = begin(&words, filter, File::from(is_ready), File::from(go));
        let _ = File::from(tell).write_all(&errno.to_le_bytes());
        // SAFETY: takes a number.
        unsafe { libc::_exit(127) };
    }
    if program < 0 {
        return Err(Error::last("fork"));
    }
    drop(is_ready);
    // Whether it lives the keeper will see.
    let _ = File::from(ready).read_to_end(&mut Vec::new());
    // SAFETY: as above.
    let keeper = unsafe { libc::fork() };
    if keeper == 0 {
        let seized = sys::ptrace(Request::Seize, program, 0, OPTIONS as usize, Fault::Never);
        if let Err(e) = seized {
            let _ = File::from(tell).write_all(&e.errno().unwrap_or(libc::EPERM).to_le_bytes());
            let _ = signals::kill(program, libc::SIGKILL);
            std::process::exit(1);
        }
        let told = File::from(let_go).write_all(&[1]);
        drop((go, failed, tell));
        alone(files);
        std::process::exit(if told.is_ok() { keep(Tracees::of(program)) } else { 1 })
    }
    let forked = if keeper < 0 { Some(Error::last("fork")) } else { None };
    drop((go, let_go, tell));
    let mut errno = Vec::new();
    File::from(failed).read_to_end(&mut errno).about(|| format!("starting {name}"))?;
    if let Some(e) = forked {
        let _ = signals::wait_child(program);
        return Err(e);
    }
    if let Ok(errno) = errno.try_into().map(i32::from_le_bytes) {
        let _ = signals::wait_child(program);
        let _ = signals::wait_child(keeper);
        return Err(Error::sys(format!("starting {name}"), std::io::Error::from_raw_os_error(errno)));
    }
    Ok(Started { pid: program, keeper })
}

/// Becomes the program, when the keeper has it. Returns the errno of what failed.
fn begin(words: &[CString], filter: &Filter, is_ready: File, mut go: File) -> i32 {
    // SAFETY: takes numbers. Yama lets only descendants be traced otherwise; where there is no Yama this fails.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
    drop(is_ready);
    if go.read_exact(&mut [0]).is_err() {
        return libc::ECHILD; // no keeper
    }
    // SAFETY: takes numbers.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, 0, 0, 0, 0) };
    drop(go);
    // SAFETY: SIG_DFL is no handler; Rust ignores SIGPIPE before main.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    signals::release();
    if let Err(e) = filter.install() {
        return e.errno().unwrap_or(libc::EPERM);
    }
    let mut pointers: Vec<*const libc::c_char> = words.iter().map(|w| w.as_ptr()).collect();
    pointers.push(ptr::null());
    // SAFETY: strings that end, and a list of them that ends, all of which live as long as the call.
    unsafe { libc::execvp(pointers[0], pointers.as_ptr()) };
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::ENOENT)
}

/// Makes this process one of its own session that holds nothing open of its parent's but `files`: a keeper.
pub fn alone(files: &[RawFd]) {
    // SAFETY: takes numbers; the descriptors closed are the parent's copies, which nothing here uses any more.
    unsafe {
        libc::setsid();
        libc::prctl(libc::PR_SET_NAME, c"overseer-keeper".as_ptr());
    }
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        for standard in 0..3 {
            // SAFETY: takes numbers; `null` is open.
            unsafe { libc::dup2(null.as_raw_fd(), standard) };
        }
    }
    for fd in proc::descriptors(std::process::id() as i32).unwrap_or_default() {
        if fd > 2 && !files.contains(&fd) {
            // SAFETY: takes a number.
            unsafe { libc::close(fd) };
        }
    }
}
