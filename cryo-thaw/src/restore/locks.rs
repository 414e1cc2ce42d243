//! `LOCK`: locks on files, and leases.

use cryo_format::section::locks::{FLOCK, Lock, Locks, OFD, POSIX};
use cryo_tracee::Host;

use super::table::Table;
use crate::Result;
use crate::error::{RefusalKind, reason, refuse};

const F_OFD_GETLK: i32 = 36;
const F_OFD_SETLK: i32 = 37;
const F_SETLEASE: i32 = 1024;

/// Takes them, last of all: closing any descriptor of a file would give up the POSIX locks on it.
pub fn late(host: &mut Host, table: &Table<'_>) -> Result<()> {
    for (id, locks) in table.all::<Locks>() {
        // What is the description's own is taken by the first process that has it, a POSIX lock by the process that had it.
        let first = table.number(id);
        let own = || table.wanted.iter().find(|d| d.description == id && !table.ruled(d.fd)).map(|d| d.fd);
        for lock in &locks.locks {
            let through = match lock.process {
                0 => first,
                process if process == table.process => own(),
                _ => None,
            };
            if let Some(fd) = through {
                take(host, table, fd, lock)?;
            }
        }
        let Some(fd) = first else { continue };
        if locks.lease != libc::F_UNLCK as u32
            && let Err(e) = host.call(libc::SYS_fcntl, [fd.into(), F_SETLEASE as u64, locks.lease.into(), 0, 0, 0])
        {
            let name = table.name(id);
            return refuse(
                RefusalKind::File,
                format!(
                    "fd {fd} ({name}): its lease: {e}: end who has it open, or use --fd {fd}=FILE|null",
                    e = reason(&e)
                ),
            );
        }
    }
    Ok(())
}

fn take(host: &mut Host, table: &Table<'_>, fd: u32, lock: &Lock) -> Result<()> {
    let (set, get) = match lock.kind {
        POSIX => (libc::F_SETLK, libc::F_GETLK),
        OFD => (F_OFD_SETLK, F_OFD_GETLK),
        FLOCK => {
            let how = if lock.write != 0 { libc::LOCK_EX } else { libc::LOCK_SH } | libc::LOCK_NB;
            return match host.call(libc::SYS_flock, [fd.into(), how as u64, 0, 0, 0, 0]) {
                Ok(_) => Ok(()),
                Err(e) => held(table, fd, "all of it", e.errno(), None),
            };
        }
        other => {
            return refuse(RefusalKind::Image, format!("fd {fd}: a lock of kind {other} is unknown to this release"));
        }
    };
    if lock.end < lock.start {
        return refuse(
            RefusalKind::Image,
            format!("fd {fd}: its lock ends at byte {} and begins at {}", lock.end, lock.start),
        );
    }
    let len = if lock.end >= i64::MAX as u64 { 0 } else { lock.end - lock.start + 1 };
    let kind = if lock.write != 0 { libc::F_WRLCK } else { libc::F_RDLCK };
    // struct flock: type and whence, start, length, pid.
    let flock = [u64::from(kind as u16), lock.start, len, 0].map(u64::to_le_bytes).concat();
    let mut batch = host.batch()?.continue_at_error();
    let at = batch.put(&flock);
    let call = batch.call(libc::SYS_fcntl, &[fd.into(), set as u64, at.addr]);
    let answer = batch.put(&flock);
    batch.call(libc::SYS_fcntl, &[fd.into(), get as u64, answer.addr]);
    let done = host.run(batch)?;
    let Err(e) = done.result(call) else { return Ok(()) };
    let end = if len == 0 { "its end".to_owned() } else { format!("byte {}", lock.end) };
    let holder = (done.word(answer, 0) as u16 != libc::F_UNLCK as u16).then(|| done.word(answer, 3) as i32);
    held(table, fd, &format!("byte {} to {end}", lock.start), e.errno(), holder)
}

/// Says who has the lock.
fn held(table: &Table<'_>, fd: u32, what: &str, errno: Option<i32>, holder: Option<i32>) -> Result<()> {
    let name = table.description(fd).map_or_else(String::new, |id| table.name(id));
    let way = format!("end it, or use --fd {fd}=FILE|null");
    if !matches!(errno, Some(libc::EAGAIN | libc::EACCES)) {
        let e = std::io::Error::from_raw_os_error(errno.unwrap_or(0));
        return refuse(
            RefusalKind::File,
            format!("fd {fd} ({name}): it had {what} locked, which fails here: {e}: use --fd {fd}=FILE|null"),
        );
    }
    let who = match holder {
        Some(pid) if pid > 0 => {
            let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("process {pid} ({})", comm.trim())
        }
        _ => "somebody else".to_owned(),
    };
    refuse(RefusalKind::File, format!("fd {fd} ({name}): it had {what} locked, which {who} has locked now: {way}"))
}
