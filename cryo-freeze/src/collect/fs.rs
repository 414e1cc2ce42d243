//! `FS  `: threads that do not have the working directory, root and umask of their process (unshare(2), CLONE_FS).

use std::os::unix::fs::MetadataExt;

use cryo_format::section::fs::Fs;
use cryo_tracee::proc::{self, Status};

use super::parted::Parted;
use super::{Collected, RefusalKind, Scene, process, refuse, removed};
use crate::Result;

/// Adds a section for each such thread of all members.
pub fn collect(threads: &[Parted<'_>], out: &mut Collected) -> Result<()> {
    for thread in threads {
        let fs = match thread.shared_with {
            0 => place(thread.scene, thread.tid, thread.status)?,
            shared_with => Fs { shared_with, ..Fs::default() },
        };
        out.add(thread.id, fs);
    }
    Ok(())
}

fn place(scene: &Scene<'_>, tid: i32, status: &Status) -> Result<Fs> {
    let (cwd, root) = (process::directory(tid, "cwd")?, process::directory(tid, "root")?);
    let path = proc::link(tid, "cwd")?;
    if removed::is(&path, &cwd) {
        return refuse(
            RefusalKind::Thread,
            format!(
                "thread {tid} of {} works in {}, a directory of its own choice (unshare(2)) that was removed, which is not carried: freeze it when the \
                 thread is elsewhere",
                scene.name(),
                String::from_utf8_lossy(&path)
            ),
        );
    }
    Ok(Fs {
        shared_with: 0,
        umask: process::umask(status),
        reserved: 0,
        cwd: path.into(),
        cwd_dev: cwd.dev(),
        cwd_ino: cwd.ino(),
        root: proc::link(tid, "root")?.into(),
        root_dev: root.dev(),
        root_ino: root.ino(),
    })
}
