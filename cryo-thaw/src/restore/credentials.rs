//! `CRED`: in whose name a thread acts, and with what powers. Each of the calls is for the thread that makes it alone.

use cryo_format::section::credentials::Credentials;
use cryo_tracee::proc::Status;
use cryo_tracee::{Batch, FsRights, Host};

use crate::Result;
use crate::error::{Doing, RefusalKind, refuse};
use crate::ice::Ice;
use crate::options::Options;

const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;
const CAP_SETPCAP: u32 = 8;
/// An ordinary user may set this one of the securebits.
const KEEP_CAPS: u64 = 1 << 4;
const NO_SETUID_FIXUP: u64 = 1 << 2;

/// What a thread has now.
struct Now {
    uid: [u32; 4],
    gid: [u32; 4],
    groups: Vec<u32>,
    permitted: u64,
    inheritable: u64,
    effective: u64,
    bounding: u64,
    ambient: u64,
}

impl Now {
    fn of(tid: i32) -> Result<Self> {
        let status = Status::of(tid)?;
        let groups = status.text("Groups").unwrap_or_default().split_whitespace().filter_map(|g| g.parse().ok());
        Ok(Self {
            uid: status.ids("Uid"),
            gid: status.ids("Gid"),
            groups: groups.collect(),
            permitted: status.hex("CapPrm"),
            inheritable: status.hex("CapInh"),
            effective: status.hex("CapEff"),
            bounding: status.hex("CapBnd"),
            ambient: status.hex("CapAmb"),
        })
    }

    fn may(&self, capability: u32) -> bool {
        self.effective >> capability & 1 != 0
    }

    fn has_groups(&self, c: &Credentials) -> bool {
        let sorted = |groups: &[u32]| {
            let mut groups = groups.to_vec();
            groups.sort_unstable();
            groups
        };
        sorted(&self.groups) == sorted(&c.groups)
    }
}

/// Before a host exists, and outside of any namespace: may we give these credentials?
pub fn check(c: &Credentials, options: &Options) -> Result<()> {
    if options.own_credentials {
        return Ok(());
    }
    let us = Now::of(std::process::id() as i32)?;
    let among = |wanted: [u32; 4], ours: [u32; 4]| wanted.iter().all(|id| ours[..3].contains(id));
    let mut lacking = Vec::new();
    if !us.may(CAP_SETUID) && !among(c.uid, us.uid) {
        lacking.push(format!("uid {} (you are {})", ids(c.uid), ids(us.uid)));
    }
    if !us.may(CAP_SETGID) {
        if !among(c.gid, us.gid) {
            lacking.push(format!("gid {} (yours is {})", ids(c.gid), ids(us.gid)));
        }
        if !us.has_groups(c) {
            lacking.push(format!("the groups {} (yours are {})", list(&c.groups), list(&us.groups)));
        }
    }
    let missing = c.permitted.0 & !us.permitted;
    if missing != 0 && lacking.is_empty() {
        let numbers: Vec<String> = members(missing).map(|n| n.to_string()).collect();
        lacking.push(format!("the capabilities of number {} (linux/capability.h)", numbers.join(", ")));
    }
    if !us.may(CAP_SETPCAP) && u64::from(c.securebits) & !KEEP_CAPS != 0 {
        lacking.push(format!("securebits {:#x}", c.securebits));
    }
    if lacking.is_empty() {
        return Ok(());
    }
    refuse(
        RefusalKind::Credentials,
        format!(
            "the program had what you may not give it: {}: thaw it as who it was or as root, or with --own-credentials (it goes on with your ids, groups \
         and capabilities)",
            lacking.join(", ")
        ),
    )
}

/// The rights by which process `id` reaches files. Its paths are followed with these, and no other ones.
pub fn fs_rights(ice: &Ice, id: u64, options: &Options) -> Result<FsRights> {
    if options.own_credentials {
        return Ok(FsRights::own()?);
    }
    let c = ice.need::<Credentials>(id)?;
    let groups = (!groups_denied(std::process::id() as i32)).then(|| c.groups.to_vec());
    Ok(FsRights { uid: c.uid[3], gid: c.gid[3], groups, effective: c.effective.0 })
}

/// Is it in a user namespace of an ordinary user's own?
fn groups_denied(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/setgroups")).is_ok_and(|t| t.trim() == "deny")
}

fn ids(ids: [u32; 4]) -> String {
    if ids.iter().all(|id| *id == ids[0]) { ids[0].to_string() } else { ids.map(|id| id.to_string()).join("/") }
}

fn list(groups: &[u32]) -> String {
    if groups.is_empty() { "-".to_owned() } else { groups.iter().map(u32::to_string).collect::<Vec<_>>().join(" ") }
}

/// Gives each thread its credentials. `each` is what holds for each of them, in their order; `orphan` says that its parent is about to end, so that no
/// signal may be asked for at that.
pub fn restore(host: &mut Host, each: &[&Credentials], options: &Options, orphan: bool) -> Result<()> {
    // They are all alike as yet.
    let now = Now::of(host.pid())?;
    let denied = groups_denied(host.pid());
    for (i, c) in each.iter().enumerate() {
        let mut wanted = (*c).clone();
        if options.own_credentials {
            own(&mut wanted, &now, denied);
        }
        let mut remote = host.remote_at(i)?;
        // The small arguments take less than a page.
        let mut batch = remote.batch_for(4096 + wanted.groups.len() * 4)?.stop_at_error();
        change(&mut batch, &wanted, &now, denied);
        if !orphan && c.parent_death_signal != 0 {
            batch.call(libc::SYS_prctl, &[libc::PR_SET_PDEATHSIG as u64, c.parent_death_signal.into()]);
        }
        remote.run(batch)?.all().doing(|| "taking on its users, groups and capabilities".into())?;
    }
    let Some(c) = each.first() else { return Ok(()) };
    if orphan && each.iter().any(|c| c.parent_death_signal != 0) {
        options.notes.add("its parent-death signal is left out: the parent that it has now is about to end");
    }
    if !options.own_credentials && c.bounding.0 != now.bounding && !now.may(CAP_SETPCAP) {
        options.notes.add(format!("its capability bounding set is {:#x} now, it was {}", now.bounding, c.bounding));
    }
    Ok(())
}

/// Ours in place of the program's. In a user namespace that was made for it, what we have there is not what we have.
fn own(c: &mut Credentials, now: &Now, namespace: bool) {
    (c.uid, c.gid, c.groups) = (now.uid, now.gid, now.groups.clone().into());
    let had = if namespace { 0 } else { u64::MAX };
    c.permitted.0 = now.permitted & had;
    c.effective.0 = now.effective & had;
    c.inheritable.0 = now.inheritable & had;
    c.ambient.0 = now.ambient & had;
    (c.bounding.0, c.securebits) = (now.bounding, 0);
}

/// The order matters: groups while CAP_SETGID is there, ids so that capabilities outlast them, then what needs capabilities, then these themselves.
fn change(batch: &mut Batch, c: &Credentials, now: &Now, denied: bool) {
    let prctl = |batch: &mut Batch, args: &[u64]| batch.call(libc::SYS_prctl, args);
    let caps = |c: &Credentials| [c.permitted.0, c.effective.0, c.inheritable.0, c.ambient.0];
    let same = c.uid == now.uid
        && c.gid == now.gid
        && (denied || now.has_groups(c))
        && caps(c) == [now.permitted, now.effective, now.inheritable, now.ambient]
        && c.securebits == 0
        && (c.bounding.0 == now.bounding || !now.may(CAP_SETPCAP));
    if !same {
        let privileged = now.may(CAP_SETPCAP);
        if privileged {
            prctl(batch, &[libc::PR_SET_SECUREBITS as u64, KEEP_CAPS | NO_SETUID_FIXUP]);
        }
        if !denied && !now.has_groups(c) {
            let at = batch.put(&c.groups.iter().flat_map(|g| g.to_le_bytes()).collect::<Vec<_>>());
            batch.call(libc::SYS_setgroups, &[c.groups.len() as u64, at.addr]);
        }
        let words = |ids: [u32; 4]| ids.map(u64::from);
        let ([r, e, s, fs], [gr, ge, gs, gfs]) = (words(c.uid), words(c.gid));
        batch.call(libc::SYS_setresgid, &[gr, ge, gs]);
        batch.call(libc::SYS_setfsgid, &[gfs]);
        batch.call(libc::SYS_setresuid, &[r, e, s]);
        batch.call(libc::SYS_setfsuid, &[fs]);
        if privileged || c.uid == now.uid {
            // Inheritable ones may be taken only from what is there, ambient ones only from inheritable ones.
            capset(batch, [now.permitted, now.permitted, c.inheritable.0]);
            prctl(batch, &[libc::PR_CAP_AMBIENT as u64, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0, 0, 0]);
            raise_ambient(batch, c.ambient.0);
        }
        if privileged {
            for n in members(now.bounding & !c.bounding.0) {
                prctl(batch, &[libc::PR_CAPBSET_DROP as u64, n]);
            }
            prctl(batch, &[libc::PR_SET_SECUREBITS as u64, c.securebits.into()]);
        }
        if !privileged && c.securebits != 0 {
            prctl(batch, &[libc::PR_SET_KEEPCAPS as u64, 1]);
        }
        capset(batch, [c.effective.0, c.permitted.0, c.inheritable.0]);
    }
    if c.no_new_privs != 0 {
        prctl(batch, &[libc::PR_SET_NO_NEW_PRIVS as u64, 1]);
    }
}

fn members(set: u64) -> impl Iterator<Item = u64> {
    (0..64).filter(move |n| set >> n & 1 != 0)
}

/// What executes something keeps these (capabilities(7)). They are to be inheritable.
pub fn raise_ambient(batch: &mut Batch, set: u64) {
    for n in members(set) {
        batch.call(libc::SYS_prctl, &[libc::PR_CAP_AMBIENT as u64, libc::PR_CAP_AMBIENT_RAISE as u64, n, 0, 0]);
    }
}

/// capset(2), version 3: effective, permitted, inheritable; the lower halves, then the upper ones.
pub fn capset(batch: &mut Batch, sets: [u64; 3]) {
    let header = batch.put(&[0x2008_0522_u32, 0].map(u32::to_le_bytes).concat());
    let halves = [0, 32].map(|shift| sets.map(|set| ((set >> shift) as u32).to_le_bytes()).concat()).concat();
    let data = batch.put(&halves);
    batch.call(libc::SYS_capset, &[header.addr, data.addr]);
}
