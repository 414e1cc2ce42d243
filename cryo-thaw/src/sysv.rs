//! SysV shared memory (shmget(2)).
//!
//! A segment outlives the process that made it, unless it is marked for removal. So the very one that the program left behind may still be there:
//! known by its id, key, size and time of change, and attached by nobody, it is taken again. Otherwise a new one is made: with the old id where the
//! kernel lets us choose (as root), else with another one, and that is said. Two copies of a program never share one.

use cryo_format::section::objects::Object;
use cryo_tracee::Host;
use cryo_tracee::sysv::Segment;

use crate::Result;
use crate::error::{Doing, RefusalKind, reason, refuse};
use crate::notes::Notes;

/// linux/ipc.h, linux/shm.h.
const IPC_CREAT: u64 = 0o1000;
const IPC_EXCL: u64 = 0o2000;
const SHM_DEST: u32 = 0o1000;
const SHM_LOCKED: u32 = 0o2000;
const NEXT_ID: &str = "/proc/sys/kernel/shm_next_id";
/// sizeof(struct shmid64_ds), and where in it what we want is, in words of 8 bytes.
const DS: usize = 112;
const SIZE: usize = 6;
const CTIME: usize = 9;
const NATTCH: usize = 11;

/// Attaches the segment as a whole at `at`, empty. It belongs to `owner`, the user and the group that the program will be, if we may give it away.
/// Returns it if it was made for this.
pub fn attach(notes: &Notes, host: &mut Host, object: &Object, at: u64, owner: (u32, u32)) -> Result<Option<Segment>> {
    let (key, id) = (object.shm.0 as u32, object.shm.0 >> 32);
    let (got, segment) = if take(host, object, key, id, at)? {
        (id, None)
    } else {
        let (got, segment) = make(notes, host, object, key, id)?;
        let shmat = host.call(libc::SYS_shmat, [got, at, 0, 0, 0, 0]);
        shmat
            .or_else(|e| refuse(RefusalKind::Ipc, format!("SysV shared memory {id}: attaching it: {}", reason(&e))))?;
        (got, Some(segment))
    };
    // It may hold what the program has written since it was frozen.
    host.call(libc::SYS_madvise, [at, object.size.next_multiple_of(4096), libc::MADV_REMOVE as u64, 0, 0, 0])
        .doing(|| format!("SysV shared memory {id}: emptying it"))?;
    // What was taken may be another user's, who let us attach it: then its owner and mode are right, and not ours to set.
    let mut batch = host.batch()?;
    if segment.is_none() {
        batch = batch.continue_at_error();
    }
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let owner = if uid.is_root() { owner } else { (uid.as_raw(), gid.as_raw()) };
    let mut words = [0_u32; DS / 4];
    (words[1], words[2], words[5]) = (owner.0, owner.1, object.mode & 0o777);
    let ds = batch.put(&words.map(u32::to_le_bytes).concat());
    // Its time of change, too: another thaw of the same image does not take it.
    batch.call(libc::SYS_shmctl, &[got, libc::IPC_SET as u64, ds.addr]);
    if object.mode & SHM_LOCKED != 0 {
        batch.call(libc::SYS_shmctl, &[got, libc::SHM_LOCK as u64, 0]);
    }
    if object.mode & SHM_DEST != 0 {
        batch.call(libc::SYS_shmctl, &[got, libc::IPC_RMID as u64, 0]);
    }
    let done = host.run(batch)?;
    if segment.is_some() {
        done.all().doing(|| format!("SysV shared memory {id}: giving it its owner and mode"))?;
    }
    Ok(segment)
}

/// Attaches what the program left behind. Not if somebody uses it, or if it is not ours to write.
fn take(host: &mut Host, object: &Object, key: u32, id: u64, at: u64) -> Result<bool> {
    if !left_behind(host, object, key, id, 0)? || host.call(libc::SYS_shmat, [id, at, 0, 0, 0, 0]).is_err() {
        return Ok(false);
    }
    // Another thaw may have looked and attached it, too: then neither takes it.
    let alone = left_behind(host, object, key, id, 1)?;
    if !alone {
        host.call(libc::SYS_shmdt, [at, 0, 0, 0, 0, 0]).doing(|| format!("SysV shared memory {id}: detaching it"))?;
    }
    Ok(alone)
}

/// Is the segment with this id the one that was frozen, and has nobody attached it but `we`?
fn left_behind(host: &mut Host, object: &Object, key: u32, id: u64, we: u64) -> Result<bool> {
    let mut batch = host.batch()?.continue_at_error();
    let ds = batch.space(DS);
    let call = batch.call(libc::SYS_shmctl, &[id, libc::IPC_STAT as u64, ds.addr]);
    let done = host.run(batch)?;
    Ok(done.result(call).is_ok()
        && done.word(ds, 0) as u32 == key
        && done.word(ds, SIZE) == object.size
        && done.word(ds, CTIME) == object.mtime_sec as u64
        && done.word(ds, NATTCH) == we)
}

/// A new one, and its id. What is another than it was is said.
fn make(notes: &Notes, host: &mut Host, object: &Object, key: u32, id: u64) -> Result<(u64, Segment)> {
    let mut taken = false;
    let mode = u64::from(object.mode & 0o777) | 0o600 | IPC_CREAT | IPC_EXCL;
    // Needs CAP_CHECKPOINT_RESTORE; without, or where the id is taken, the kernel chooses.
    let chosen = std::fs::write(NEXT_ID, id.to_string()).is_ok();
    let made = host.call(libc::SYS_shmget, [key.into(), object.size, mode, 0, 0, 0]).or_else(|e| {
        // Another segment has the key.
        if e.errno() != Some(libc::EEXIST) {
            return Err(e);
        }
        taken = true;
        host.call(libc::SYS_shmget, [libc::IPC_PRIVATE as u64, object.size, mode, 0, 0, 0])
    });
    if chosen {
        // Not for whoever comes next, if it was not used.
        let _ = std::fs::write(NEXT_ID, "-1");
    }
    let got = match made {
        Ok(got) => got,
        Err(e) => {
            return refuse(
                RefusalKind::Ipc,
                format!("SysV shared memory {id} (key {key:#x}, {} bytes): {}", object.size, reason(&e)),
            );
        }
    };
    let segment = Segment::new(got as i32);
    if got != id {
        notes.add(format!(
            "SysV shared memory {id} (key {key:#x}) has the id {got} here: the program does not find it by the old one"
        ));
    }
    if taken {
        notes.add(format!(
            "SysV shared memory {id}: its key {key:#x} is another segment's here: nobody finds it by its key"
        ));
    }
    Ok((got, segment))
}
