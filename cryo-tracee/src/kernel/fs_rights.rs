//! The rights by which a thread reaches files: filesystem ids, supplementary groups, and the capabilities that concern files
//! (credentials(7), capabilities(7), setfsuid(2)).
//!
//! Whoever follows a path into a directory of another user's does it with that user's rights: what the user puts in the way then leads nowhere
//! that the user could not have gone.

use std::marker::PhantomData;

use crate::host::Host;
use crate::proc::Status;
use crate::{Error, Refusal, RefusalKind, Result};

/// CAP_CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, LINUX_IMMUTABLE, MKNOD, MAC_OVERRIDE: the ones that a change of the filesystem uid away
/// from root takes, too (CAP_FS_MASK in include/linux/capability.h).
const FILE_CAPABILITIES: u64 = 0x1f | 1 << 9 | 1 << 27 | 1 << 32;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Whose rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsRights {
    /// Filesystem uid.
    pub uid: u32,
    /// Filesystem gid.
    pub gid: u32,
    /// Supplementary groups; `None` where they cannot be changed (/proc/PID/setgroups of a user namespace).
    pub groups: Option<Vec<u32>>,
    /// The capabilities in force, of which those that concern files count.
    pub effective: u64,
}

/// What a thread has now.
struct Now {
    rights: FsRights,
    permitted: u64,
    inheritable: u64,
}

impl Now {
    fn of(tid: i32) -> Result<Self> {
        let status = Status::of(tid)?;
        let groups = status.text("Groups").unwrap_or_default().split_whitespace().filter_map(|g| g.parse().ok());
        let rights = FsRights {
            uid: status.ids("Uid")[3],
            gid: status.ids("Gid")[3],
            groups: Some(groups.collect()),
            effective: status.hex("CapEff"),
        };
        Ok(Self { rights, permitted: status.hex("CapPrm"), inheritable: status.hex("CapInh") })
    }

    /// The effective set in which the file capabilities are those of `wanted`, as far as they may be had.
    fn effective(&self, wanted: &FsRights) -> u64 {
        self.rights.effective & !FILE_CAPABILITIES | wanted.effective & FILE_CAPABILITIES & self.permitted
    }

    fn has(&self, wanted: &FsRights) -> bool {
        (self.rights.uid, self.rights.gid) == (wanted.uid, wanted.gid)
            && self.groups_are(wanted)
            && self.rights.effective == self.effective(wanted)
    }

    fn groups_are(&self, wanted: &FsRights) -> bool {
        let sorted = |groups: &Option<Vec<u32>>| {
            let mut groups = groups.clone().unwrap_or_default();
            groups.sort_unstable();
            groups
        };
        wanted.groups.is_none() || sorted(&self.rights.groups) == sorted(&wanted.groups)
    }
}

/// capset(2), version 3: the header, then the lower halves of effective, permitted and inheritable, then the upper ones.
fn capabilities(effective: u64, permitted: u64, inheritable: u64) -> ([u32; 2], [u32; 6]) {
    let sets = [effective, permitted, inheritable];
    let [low, high] = [0, 32].map(|shift| sets.map(|set| (set >> shift) as u32));
    ([CAPABILITY_VERSION_3, 0], [low[0], low[1], low[2], high[0], high[1], high[2]])
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

impl FsRights {
    /// Our own, in this thread.
    pub fn own() -> Result<Self> {
        Ok(Now::of(rustix::thread::gettid().as_raw_nonzero().get())?.rights)
    }

    /// Gives them to the host, which has one thread as yet and keeps all its other rights.
    pub fn lend(&self, host: &mut Host) -> Result<()> {
        let now = Now::of(host.pid())?;
        if now.has(self) {
            return Ok(());
        }
        let groups = self.groups.as_deref().filter(|_| !now.groups_are(self)).map(bytes);
        let mut batch = host.batch_for(groups.as_ref().map_or(0, Vec::len) + 64)?.stop_at_error();
        if let Some(groups) = groups {
            let at = batch.put(&groups);
            batch.call(libc::SYS_setgroups, &[groups.len() as u64 / 4, at.addr]);
        }
        batch.call(libc::SYS_setfsgid, &[self.gid.into()]);
        batch.call(libc::SYS_setfsuid, &[self.uid.into()]);
        let (header, sets) = capabilities(now.effective(self), now.permitted, now.inheritable);
        let (header, sets) = (batch.put(&bytes(&header)), batch.put(&bytes(&sets)));
        batch.call(libc::SYS_capset, &[header.addr, sets.addr]);
        // They report no errors; asked for an id that is none, they say what it is.
        let gid = batch.call(libc::SYS_setfsgid, &[u64::MAX]);
        let uid = batch.call(libc::SYS_setfsuid, &[u64::MAX]);
        // It has become somebody's whom its tracer may not know (prctl(2), PR_SET_DUMPABLE).
        batch.call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as u64, 1]);
        let done = host.run(batch)?;
        done.all()?;
        if (done.result(uid)?, done.result(gid)?) != (self.uid.into(), self.gid.into()) {
            return Err(self.refused());
        }
        Ok(())
    }

    /// This thread has them until the guard is dropped. In between it must not look at other processes: it may not.
    pub fn enter(&self) -> Result<Entered> {
        let now = Now::of(rustix::thread::gettid().as_raw_nonzero().get())?;
        if now.has(self) {
            return Ok(Entered { back: None, this_thread: PhantomData });
        }
        let groups = self.groups.as_deref().filter(|_| !now.groups_are(self));
        let effective = now.effective(self);
        let back = Back {
            groups: groups.and(now.rights.groups),
            uid: now.rights.uid,
            gid: now.rights.gid,
            capabilities: [now.rights.effective, now.permitted, now.inheritable],
            dumpable: dumpable(),
        };
        let guard = Entered { back: Some(back), this_thread: PhantomData };
        let wrong = if let Some(groups) = groups { set_groups(groups) } else { 0 } != 0
            || set_fs_ids(self.uid, self.gid) != (self.uid, self.gid)
            || set_capabilities(effective, now.permitted, now.inheritable) != 0;
        if wrong { Err(self.refused()) } else { Ok(guard) }
    }

    fn refused(&self) -> Error {
        Refusal::new(RefusalKind::Credentials, format!(
            "the rights of user {}, group {}, whose program it was, cannot be taken on here: use --own-credentials to thaw it with your own",
            self.uid, self.gid
        )).into()
    }
}

struct Back {
    groups: Option<Vec<u32>>,
    uid: u32,
    gid: u32,
    capabilities: [u64; 3],
    dumpable: libc::c_int,
}

/// A thread of ours with the rights of somebody else. Dropping it puts its own back.
#[must_use]
pub struct Entered {
    back: Option<Back>,
    /// Ids and capabilities are a thread's own.
    this_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // What was permitted still is: none of these can fail.
        if let Some(back) = &self.back {
            set_fs_ids(back.uid, back.gid);
            let [effective, permitted, inheritable] = back.capabilities;
            set_capabilities(effective, permitted, inheritable);
            if let Some(groups) = &back.groups {
                set_groups(groups);
            }
            // A change of ids takes it away, and children inherit that until they exec.
            set_dumpable(back.dumpable);
        }
    }
}

// The C library's functions change all threads of a process; the system calls change one.

fn dumpable() -> libc::c_int {
    // SAFETY: takes a number only.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) }
}

fn set_dumpable(dumpable: libc::c_int) {
    // SAFETY: takes numbers only. (The value 2 cannot be set, and need not be.)
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, dumpable) };
}

fn set_groups(groups: &[u32]) -> libc::c_long {
    // SAFETY: the kernel reads that many ids.
    unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }
}

/// Returns the ids that the thread then has.
fn set_fs_ids(uid: u32, gid: u32) -> (u32, u32) {
    // SAFETY: take numbers only.
    let set = |call, id: u32| unsafe {
        libc::syscall(call, id);
        libc::syscall(call, u32::MAX) as u32
    };
    let gid = set(libc::SYS_setfsgid, gid);
    (set(libc::SYS_setfsuid, uid), gid)
}

fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> libc::c_long {
    let (header, sets) = capabilities(effective, permitted, inheritable);
    // SAFETY: the kernel reads a header of two words and, for its version, two times three.
    unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) }
}

#[cfg(test)]
mod tests {
    use super::FsRights;

    /// As root only: an ordinary user has no other rights to take.
    #[test]
    fn a_thread_has_them_until_the_guard_goes() -> Result<(), Box<dyn std::error::Error>> {
        let before = FsRights::own()?;
        if before.uid != 0 {
            return Ok(());
        }
        let nobody = FsRights { uid: 65534, gid: 65534, groups: Some(vec![7, 8]), effective: 0 };
        let secret = tempfile::NamedTempFile::new()?;
        {
            let _entered = nobody.enter()?;
            let now = FsRights::own()?;
            assert_eq!((now.uid, now.gid, &now.groups), (65534, 65534, &nobody.groups));
            assert!(std::fs::File::open(secret.path()).is_err());
            // Of this thread alone.
            let path = secret.path().to_owned();
            let pid = std::process::id() as i32;
            assert_eq!(super::Now::of(pid)?.rights, before);
            drop(path);
        }
        assert_eq!(FsRights::own()?, before);
        assert!(std::fs::File::open(secret.path()).is_ok());
        Ok(())
    }
}
