//! A template in our hands, and the making of copies.

use std::collections::HashSet;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use cryo_format::section::descriptors::{Descriptors, ThreadDescriptors};
use cryo_format::section::scheduling::Scheduling;
use cryo_format::section::terminal::Terminal;
use cryo_tracee::proc::{self, Status};
use cryo_tracee::{FsRights, Host, namespace};

use super::together::Together;
use super::{How, fit, huge};
use crate::births::{CopiedRoot, HeldRoot};
use crate::error::{About, Doing, RefusalKind, refuse};
use crate::ice::{Ice, Pages};
use crate::ids::{self, Decision, Ids};
use crate::options::{Options, Pid};
use crate::prepared::{Prepared, prepare};
use crate::ready::Ready;
use crate::restore::courier::Courier;
use crate::restore::credentials;
use crate::{Result, check, posix_shm, thaw};

/// A process with the memory of the image. Dropping it ends it.
pub struct Held {
    ice: Ice,
    options: Options,
    prepared: Prepared,
    /// Objects whose files the person has named.
    named: HashSet<u64>,
    rights: Vec<FsRights>,
    /// Decided when it was made; for each copy anew where that depends on who is there then.
    decision: Option<Decision>,
    host: Host,
    root: HeldRoot,
    /// First number above all of the image's.
    base: u64,
    courier: Courier,
    /// This command, which is executed as the process above a copy.
    command: OwnedFd,
}

/// A copy that stands before its first instruction. Dropping it ends it.
pub struct Copied {
    ready: Ready,
    decision: Decision,
    beside_us: bool,
}

impl Held {
    /// Makes the template.
    pub fn hold(mut ice: Ice, options: Options) -> Result<Self> {
        let prepared = prepare(&mut ice, &options)?;
        check::rights(&ice, &options)?;
        fit::check(&ice)?;
        if ice.all::<Terminal>().next().is_some() {
            options
                .notes
                .add("copies leave the terminal that they are given in its mode, and it is not their controlling one");
        }
        let anew = matches!(options.pid, Pid::Auto | Pid::Same) && ids::may_choose();
        let decision = if anew { None } else { Some(ids::decide(&ice, options.pid)?) };
        let mut pages = ice.pages.take();
        let rights = prepared.members.iter().map(|m| credentials::fs_rights(&ice, m.id, &options));
        let rights = rights.collect::<Result<Vec<_>>>()?;
        let vmas = fit::forkable(&ice)?;
        let (mut host, root) =
            thaw::births(&ice, Ids::New, &options, &prepared, &rights).hold_root(vmas, &mut pages)?;
        huge::join(&mut host, &root.vmas)?;
        cryo_tracee::host::raise_file_limit(host.pid())?;
        let tables = ice.all::<Descriptors>().map(|(_, d)| &d.descriptors);
        let highest = tables.chain(ice.all::<ThreadDescriptors>().map(|(_, d)| &d.descriptors)).flat_map(|d| d.iter());
        let highest = highest.map(|d| d.fd).max().unwrap_or(0).max(2);
        let base = u64::from(highest) + 1;
        let courier = Courier::between(&mut host, base)?;
        // What it has of ours is not for its copies, and who reads from our output waits for its end.
        let handed_down = root.handed_down.iter().map(|(_, fd)| *fd);
        let own: HashSet<u64> =
            root.shape.unlinked.values().copied().chain(handed_down).chain([courier.theirs()]).collect();
        for fd in proc::descriptors(host.pid())?.into_iter().filter(|fd| !own.contains(&(*fd as u64))) {
            host.call(libc::SYS_close, [fd as u64, 0, 0, 0, 0, 0])?;
        }
        let command = File::open("/proc/self/exe").about(|| "opening this command".into())?.into();
        let named = prepared.named.clone();
        Ok(Self { ice, options, prepared, named, rights, decision, host, root, base, courier, command })
    }

    /// The pid of the process that holds the memory.
    pub fn pid(&self) -> i32 {
        self.host.pid()
    }

    /// Bytes of our own memory that it takes besides.
    pub fn kept_bytes(&self) -> u64 {
        self.root.kept.bytes()
    }

    /// Makes a copy, with what its caller has `lent`; if it is in a namespace of its own, that one's init tells `events` what becomes of it.
    pub fn copy(&mut self, how: How, lent: &[(u32, OwnedFd)], events: &UnixStream) -> Result<Copied> {
        let made = self.make(how, lent, events);
        // What was sent to the one that has failed, and not received, is not for the next.
        if made.is_err()
            && let Ok(courier) = Courier::between(&mut self.host, self.base)
        {
            let _ = std::mem::replace(&mut self.courier, courier).leave(&mut self.host);
        }
        made
    }

    fn make(&mut self, how: How, lent: &[(u32, OwnedFd)], events: &UnixStream) -> Result<Copied> {
        let options = Options { stopped: how.stopped, detach: how.detach, ..self.options.clone() };
        let decision = match &self.decision {
            Some(decision) => decision.clone(),
            None => ids::decide(&self.ice, options.pid)?,
        };
        let shm = posix_shm::make(&mut self.ice, &self.rights[0], &options.notes)?;
        // What an earlier copy has made is by now like any other file.
        self.prepared.named.clone_from(&self.named);
        self.prepared.named.extend(shm.files().map(|(object, _)| object));
        let together = Together::here(self.host.pid());
        let pid = self.prepared.members[0].process.pid as i32;
        let beside = libc::CLONE_PARENT as u64;
        let beside_us = !how.to_the_last && !matches!(decision.ids, Ids::Namespace(_));
        let mut host = match decision.ids {
            Ids::Same if beside_us => self.host.fork(Some(pid), 0, beside)?,
            Ids::New if beside_us => self.host.fork(None, 0, beside)?,
            ids => self.below_another(ids, pid, events, &together)?,
        };
        // No signal to a group of the holder's is for it, and none of its own for the holder.
        host.call(libc::SYS_setsid, [0; 6]).doing(|| "beginning its session".into())?;
        let fds: Vec<BorrowedFd<'_>> = lent.iter().map(|(_, fd)| fd.as_fd()).collect();
        let given = self.courier.give_all(&mut host, &fds)?;
        let lent = lent.iter().map(|(number, _)| *number).zip(given).collect();
        self.courier.leave(&mut host)?;
        let mut births = thaw::births(&self.ice, decision.ids, &options, &self.prepared, &self.rights);
        births.ready.shm = Some(shm);
        births.copy = Some(CopiedRoot { host, held: &self.root, lent });
        let mut pages = Some(Pages::Kept { kept: self.root.kept.clone(), done: HashSet::new() });
        let ready = thaw::bring_back(births, &mut pages)?;
        // An image that says nothing of processors leaves them as they are.
        if self.ice.get::<Scheduling>(self.prepared.members[0].id).is_none() {
            let hosts = ready.hosts.iter().flat_map(|(host, _)| host.threads());
            hosts.for_each(|thread| together.leaves(thread.tid()));
        }
        Ok(Copied { ready, decision, beside_us })
    }

    /// A copy with a process above it that is the parent of its orphans: the init of a pid namespace of its own, or without one a subreaper (prctl(2)). The
    /// memory is copied once: that process has it in common with the template until it executes its own program. It runs at once, and ends with the copy's last
    /// process.
    fn below_another(&mut self, ids: Ids, pid: i32, events: &UnixStream, together: &Together) -> Result<Host> {
        let in_namespace = matches!(ids, Ids::Namespace(_));
        let name = if in_namespace { namespace::AS_INIT } else { namespace::AS_SUBREAPER };
        let flags = if in_namespace { namespace::flags() } else { 0 } | libc::CLONE_VM | libc::CLONE_PARENT;
        let made = self.host.fork(None, 0, flags as u64);
        let mut init = made.doing(|| "making a process above the copy".into())?;
        if in_namespace {
            namespace::map_ids(init.pid())?;
            own_proc(&mut init)?;
            if !rustix::process::geteuid().is_root() {
                ids::keep_capabilities(&mut init)?;
            }
        } else {
            init.call(libc::SYS_prctl, [libc::PR_SET_CHILD_SUBREAPER as u64, 1, 0, 0, 0, 0])?;
        }
        let copy = init.fork((ids != Ids::New).then_some(pid), libc::SIGCHLD, 0)?;
        let pid = if in_namespace { pid } else { copy.pid() };
        let events = events.as_fd().try_clone_to_owned().about(|| "duplicating a socket".into())?;
        let events = self.courier.give(&mut init, &events)?;
        let command = self.courier.give(&mut init, &self.command)?;
        // The template has nothing open there.
        if events != 0 {
            init.call(libc::SYS_dup3, [events, 0, 0, 0, 0, 0])?;
        }
        init.call(libc::SYS_fcntl, [0, libc::F_SETFD as u64, 0, 0, 0, 0])?;
        match CString::new(pid.to_string()) {
            Ok(pid) => init.exec(command, &[name, &pid])?,
            Err(_) => return refuse(RefusalKind::Internal, "a pid with a NUL"),
        }
        let init = init.release();
        together.leaves(init);
        // Who freezes the copy knows an init by that name.
        let deadline = Instant::now() + cryo_tracee::LIMIT;
        while Status::of(init)?.name() != name.to_bytes() {
            if Instant::now() > deadline {
                return refuse(RefusalKind::Internal, "the process above a copy does not begin");
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(copy)
    }
}

impl Copied {
    /// Its pid for us.
    pub fn pid(&self) -> i32 {
        self.ready.pids().next().unwrap_or(0)
    }

    /// Is it a child of ours? Else who stands above it tells what becomes of it.
    pub fn is_child(&self) -> bool {
        self.beside_us
    }

    /// What is to be told of its ids when it runs.
    pub fn words(&self) -> Option<String> {
        self.decision.words(self.pid())
    }

    /// Lets it run.
    pub fn run(self) {
        self.ready.run();
    }
}

/// Puts a namespace's own /proc in the place of the one of outside.
fn own_proc(init: &mut Host) -> Result<()> {
    let mut batch = init.batch()?;
    let [root, at, name] = [b"/\0".as_slice(), b"/proc\0", b"proc\0"].map(|text| batch.put(text).addr);
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // In a chroot there is no mount at /; nothing is then passed on that should not.
    batch.call(libc::SYS_mount, &[0, root, 0, private, 0]);
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let mounted = batch.call(libc::SYS_mount, &[name, at, name, flags, 0]);
    init.run(batch.continue_at_error())?.result(mounted).doing(|| "mounting the namespace's /proc".into())?;
    Ok(())
}
