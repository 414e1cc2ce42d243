//! `PROC`: who the process is.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use cryo_format::prim::Addr;
use cryo_format::section::process::{Process, ProcessFlags};
use cryo_tracee::proc::Status;
use cryo_tracee::remote::{Done, Slot};
use cryo_tracee::{Batch, proc};

use super::{Collected, RefusalKind, Scene, refuse};
use crate::Result;
use crate::error::About;

/// Calls whose results are answers.
pub struct Questions {
    parent_death_signal: Slot,
    subreaper: Slot,
    dumpable: usize,
    mdwe: usize,
    personality: usize,
}

/// linux/prctl.h; libc lacks it.
const PR_GET_MDWE: u64 = 66;

impl Questions {
    /// prctl(2), personality(2).
    pub fn ask(batch: &mut Batch) -> Self {
        let parent_death_signal = batch.space(4);
        batch.call(libc::SYS_prctl, &[libc::PR_GET_PDEATHSIG as u64, parent_death_signal.addr]);
        let subreaper = batch.space(4);
        batch.call(libc::SYS_prctl, &[libc::PR_GET_CHILD_SUBREAPER as u64, subreaper.addr]);
        let dumpable = batch.call(libc::SYS_prctl, &[libc::PR_GET_DUMPABLE as u64]);
        let mdwe = batch.call(libc::SYS_prctl, &[PR_GET_MDWE]);
        // It tells and sets nothing.
        let personality = batch.call(libc::SYS_personality, &[u64::from(u32::MAX)]);
        Self { parent_death_signal, subreaper, dumpable, mdwe, personality }
    }

    /// Would a process that loses its parent below this one become its child?
    pub fn adopts(&self, scene: &Scene<'_>, done: &Done) -> bool {
        done.bytes(self.subreaper) != [0; 4] || scene.status.inner("NStgid") == Some(1)
    }
}

/// Bits of PR_GET_MDWE that are none of PR_MDWE_REFUSE_EXEC_GAIN and PR_MDWE_NO_INHERIT: what a later kernel has added.
pub fn unknown_mdwe(mdwe: u64) -> Option<u64> {
    Some(mdwe & !3).filter(|unknown| *unknown != 0)
}

/// Adds the process, which was in this job-control stop.
pub fn collect(
    scene: &Scene<'_>,
    stopped_by: i32,
    questions: &Questions,
    done: &Done,
    out: &mut Collected,
) -> Result<()> {
    let pid = scene.live_tid;
    let word = |slot| done.bytes(slot).try_into().map_or(0, u32::from_le_bytes);
    let number = |n| scene.stat.field(n).map(|v| v as u64);
    let mut flags = 0;
    let mut flag = |bit, set: bool| flags |= if set { bit } else { 0 };
    flag(ProcessFlags::CHILD_SUBREAPER, word(questions.subreaper) != 0);
    flag(ProcessFlags::NO_NEW_PRIVS, scene.status.number("NoNewPrivs") == Some(1));
    flag(ProcessFlags::HAS_TTY, number(7)? != 0);
    flag(ProcessFlags::NOT_DUMPABLE, done.result(questions.dumpable)? != 1);
    // Kernels before 6.3 do not know the question.
    let mdwe = done.result(questions.mdwe).unwrap_or(0);
    if let Some(unknown) = unknown_mdwe(mdwe) {
        return refuse(
            RefusalKind::Machine,
            format!(
                "process {} has forbidden itself memory in a way that this release does not know (prctl(PR_GET_MDWE) says {unknown:#x}): a newer \
                 cryo-freeze may",
                scene.pid
            ),
        );
    }
    flag(ProcessFlags::MDWE_REFUSE_EXEC_GAIN, mdwe & 1 != 0);
    flag(ProcessFlags::MDWE_NO_INHERIT, mdwe & 2 != 0);
    let oom: i64 = String::from_utf8_lossy(&scene.file("oom_score_adj")?).trim().parse().unwrap_or(0);
    // Of a main thread that has exited only the number is left here.
    let exit_signal = if pid == scene.pid { scene.stat.field(38)? } else { proc::Stat::of(scene.pid)?.field(38)? };
    let (cwd, root) = (directory(pid, "cwd")?, directory(pid, "root")?);
    out.add(
        scene.id,
        Process {
            pid: scene.status.inner("NStgid").unwrap_or(scene.pid as u64),
            ppid: pid_as_seen(scene, scene.stat.field(4)? as i32).unwrap_or(0),
            pgid: scene.status.inner("NSpgid").unwrap_or(number(5)?),
            sid: scene.status.inner("NSsid").unwrap_or(number(6)?),
            exit_signal: exit_signal as u64,
            personality: done.result(questions.personality)?,
            umask: umask(&scene.status),
            flags,
            parent_death_signal: word(questions.parent_death_signal),
            stopped_by: stopped_by as u32,
            uid: scene.status.ids("Uid"),
            gid: scene.status.ids("Gid"),
            exe: scene.link("exe")?.into(),
            cwd: scene.link("cwd")?.into(),
            root: scene.link("root")?.into(),
            cmdline: scene.file("cmdline")?.into(),
            oom_score_adj: Addr((oom + 1000) as u64),
            cwd_dev: cwd.dev(),
            cwd_ino: cwd.ino(),
            root_dev: root.dev(),
            root_ino: root.ino(),
        },
    );
    Ok(())
}

/// A pid as the process sees it; none if that is in no pid namespace of its.
pub(super) fn pid_as_seen(scene: &Scene<'_>, pid: i32) -> Option<u64> {
    if pid <= 0 {
        return None;
    }
    let theirs = scene.namespace("pid")?;
    // Of who has ended only the number is left, and that is ours.
    if scene.machine.namespace("pid") == Some(theirs) {
        return Some(pid as u64);
    }
    (proc::link(pid, "ns/pid").ok()? == *theirs).then(|| Status::of(pid).ok()?.inner("NStgid")).flatten()
}

/// umask(2), as /proc/PID/status has it.
pub(super) fn umask(status: &Status) -> u32 {
    status.text("Umask").and_then(|t| u32::from_str_radix(t, 8).ok()).unwrap_or(0o22)
}

/// stat(2) of the directory itself, whatever its path leads to by now.
pub(super) fn directory(pid: i32, link: &str) -> Result<Metadata> {
    let path = format!("/proc/{pid}/{link}");
    std::fs::metadata(&path).about(|| format!("looking at {path}"))
}
