//! `FS  `: threads that do not have the working directory, root and umask of their process (unshare(2), CLONE_FS).

use std::os::unix::fs::MetadataExt;

use cryo_format::section::fs::Fs;
use cryo_tracee::fds::{self, Shared};
use cryo_tracee::proc::{self, Status};

use super::{Collected, RefusalKind, Scene, process, refuse, removed};
use crate::Result;

/// A thread that has its own.
struct Own<'s> {
    tid: i32,
    id: u64,
    scene: &'s Scene<'s>,
}

/// Adds a section for each such thread of all members.
pub fn collect(scenes: &[Scene<'_>], out: &mut Collected) -> Result<()> {
    let mut all: Vec<Own<'_>> = Vec::new();
    for scene in scenes {
        for (status, id) in scene.threads.iter().zip(&scene.thread_ids) {
            let tid = status.number("Pid").unwrap_or(0) as i32;
            if fds::share(scene.live_tid, tid, Shared::Fs) {
                continue;
            }
            let known = all.iter().find(|own| fds::share(own.tid, tid, Shared::Fs));
            let elsewhere = match known {
                Some(own) => (own.scene.id != scene.id).then_some(own.scene),
                None => scenes.iter().find(|other| fds::share(other.live_tid, tid, Shared::Fs)),
            };
            if let Some(other) = elsewhere {
                return refuse(
                    RefusalKind::Thread,
                    format!(
                        "thread {tid} of {} has its working directory and umask in common with {}, and not with its own process, which is not carried: \
                         freeze them when that thread has ended",
                        scene.name(),
                        other.name()
                    ),
                );
            }
            match known {
                Some(own) => out.add(*id, Fs { shared_with: own.id, ..Fs::default() }),
                None => {
                    out.add(*id, place(scene, tid, status)?);
                    all.push(Own { tid, id: *id, scene });
                }
            }
        }
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
