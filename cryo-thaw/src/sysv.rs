//! SysV shared memory (shmget(2)).
//!
//! A segment outlives the process that made it, unless it is marked for removal. So the very one that the program left behind may still be there:
//! known by its id, key, size and time of change, and attached by nobody, it is taken again. Otherwise a new one is made: with the old id where the
//! kernel lets us choose (as root), else with another one, and that is said. Two copies of a program never share one.

use cryo_format::section::objects::Object;
use cryo_tracee::Host;

use crate::Result;
use crate::error::refuse;

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
pub fn attach(host: &mut Host, object: &Object, at: u64, owner: (u32, u32)) -> Result<()> {
    let (key, id) = (object.shm.0 as u32, object.shm.0 >> 32);
    let got = if left_behind(host, object, key, id)? { id } else { make(host, object, key, id)? };
    if got != id {
        cryo_tracee::say(&format!(
            "cryo-thaw: SysV shared memory {id} (key {key:#x}) has the id {got} here: the program does not find it by the old one"
        ));
    }
    let shmat = host.call(libc::SYS_shmat, [got, at, 0, 0, 0, 0]);
    shmat.or_else(|e| refuse(format!("SysV shared memory {id}: {e}")))?;
    // It may hold what the program has written since it was frozen.
    host.call(libc::SYS_madvise, [at, object.size.next_multiple_of(4096), libc::MADV_REMOVE as u64, 0, 0, 0])?;
    let mut batch = host.batch()?;
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let owner = if uid.is_root() { owner } else { (uid.as_raw(), gid.as_raw()) };
    let mut words = [0_u32; DS / 4];
    (words[1], words[2], words[5]) = (owner.0, owner.1, object.mode & 0o777);
    let ds = batch.put(&words.map(u32::to_le_bytes).concat());
    batch.call(libc::SYS_shmctl, &[got, libc::IPC_SET as u64, ds.addr]);
    if object.mode & SHM_LOCKED != 0 {
        batch.call(libc::SYS_shmctl, &[got, libc::SHM_LOCK as u64, 0]);
    }
    if object.mode & SHM_DEST != 0 {
        batch.call(libc::SYS_shmctl, &[got, libc::IPC_RMID as u64, 0]);
    }
    Ok(host.run(batch)?.all()?)
}

/// Is the segment with this id the one that was frozen, and does nobody use it?
fn left_behind(host: &mut Host, object: &Object, key: u32, id: u64) -> Result<bool> {
    let mut batch = host.batch()?.continue_at_error();
    let ds = batch.space(DS);
    let call = batch.call(libc::SYS_shmctl, &[id, libc::IPC_STAT as u64, ds.addr]);
    let done = host.run(batch)?;
    Ok(done.result(call).is_ok()
        && done.word(ds, 0) as u32 == key
        && done.word(ds, SIZE) == object.size
        && done.word(ds, CTIME) == object.mtime_sec as u64
        && done.word(ds, NATTCH) == 0)
}

fn make(host: &mut Host, object: &Object, key: u32, id: u64) -> Result<u64> {
    let mode = u64::from(object.mode & 0o777) | 0o600 | IPC_CREAT | IPC_EXCL;
    // Needs CAP_CHECKPOINT_RESTORE; without, or where the id is taken, the kernel chooses.
    let chosen = std::fs::write(NEXT_ID, id.to_string()).is_ok();
    let made = host.call(libc::SYS_shmget, [key.into(), object.size, mode, 0, 0, 0]).or_else(|e| {
        // Another segment has the key.
        if e.errno() != Some(libc::EEXIST) {
            return Err(e);
        }
        host.call(libc::SYS_shmget, [libc::IPC_PRIVATE as u64, object.size, mode, 0, 0, 0])
    });
    if chosen {
        // Not for whoever comes next, if it was not used.
        let _ = std::fs::write(NEXT_ID, "-1");
    }
    match made {
        Ok(got) => Ok(got),
        Err(e) => refuse(format!("SysV shared memory {id} (key {key:#x}, {} bytes): {e}", object.size)),
    }
}
