//! `FDTB`: which descriptor refers to which open file description.

use std::fs::Metadata;

use cryo_format::section::descriptors::{Descriptor, Descriptors};
use cryo_tracee::proc::{self, FdInfo};

use super::objects::Objects;
use super::{Collected, Ids, Scene, files, outside};
use crate::error::About;
use crate::Result;

/// One open descriptor as /proc shows it.
pub struct Fd {
    /// Its number.
    pub fd: i32,
    /// What the link says.
    pub link: Vec<u8>,
    /// fstat(2).
    pub meta: Metadata,
    /// fdinfo.
    pub info: FdInfo,
}

impl Fd {
    fn of(pid: i32, fd: i32) -> Result<Self> {
        let path = format!("/proc/{pid}/fd/{fd}");
        Ok(Self {
            fd,
            link: proc::link(pid, &format!("fd/{fd}"))?,
            meta: std::fs::metadata(&path).about(|| format!("looking at fd {fd} of process {pid}"))?,
            info: FdInfo::of(pid, fd)?,
        })
    }

    /// `fd 7 (pipe:[123])`, for messages.
    pub fn name(&self) -> String {
        format!("fd {} ({})", self.fd, String::from_utf8_lossy(&self.link))
    }

    /// What must be equal for two descriptors to be one description: a cheap look before kcmp(2) is asked.
    fn looks(&self) -> (u64, u64, u64, i64) {
        use std::os::unix::fs::MetadataExt;
        let flags = self.info.flags() & !(libc::O_CLOEXEC as u64);
        (self.meta.dev(), self.meta.ino(), flags, self.info.number("pos").unwrap_or(0))
    }
}

/// Adds the table, and every description once.
pub fn collect(scene: &Scene<'_>, ids: &mut Ids, objects: &mut Objects, out: &mut Collected) -> Result<()> {
    let fds: Vec<Fd> =
        proc::descriptors(scene.pid)?.into_iter().map(|fd| Fd::of(scene.pid, fd)).collect::<Result<_>>()?;
    let mut table = Vec::with_capacity(fds.len());
    for group in descriptions(scene.pid, &fds)? {
        // A rule of the person's comes first, then what we can carry.
        let (ruled, group): (Vec<&Fd>, Vec<&Fd>) =
            group.into_iter().partition(|f| scene.options.fds.iter().any(|r| r.fd == f.fd));
        for f in ruled {
            let id = outside::by_rule(scene, f, ids, out);
            table.push((f, id));
        }
        let Some(first) = group.first().copied() else { continue };
        if let Some(id) = files::collect(scene, first, ids, objects, out)? {
            table.extend(group.iter().map(|f| (*f, id)));
        } else {
            outside::collect(scene, &group, ids, out, &mut table)?;
        }
    }
    table.sort_by_key(|(f, _)| f.fd);
    let cloexec = |f: &Fd| u32::from(f.info.flags() & libc::O_CLOEXEC as u64 != 0);
    let descriptors =
        table.iter().map(|(f, id)| Descriptor { fd: f.fd as u32, flags: cloexec(f), description: *id }).collect();
    out.add(scene.id, Descriptors { descriptors });
    Ok(())
}

/// Groups descriptors by their open file description, each group and the groups themselves by number. kcmp(2) orders descriptions, so that
/// sorting finds equal ones without comparing each with each.
fn descriptions(pid: i32, fds: &[Fd]) -> Result<Vec<Vec<&Fd>>> {
    let mut sorted: Vec<(&Fd, _)> = fds.iter().map(|f| (f, f.looks())).collect();
    sorted.sort_by_key(|(f, looks)| (*looks, f.fd));
    let mut groups: Vec<Vec<&Fd>> = Vec::new();
    for alike in sorted.chunk_by(|a, b| a.1 == b.1) {
        let mut error = None;
        let mut same: Vec<&Fd> = alike.iter().map(|(f, _)| *f).collect();
        let mut compare = |a: i32, b: i32| {
            cryo_tracee::fds::compare(pid, a, b).unwrap_or_else(|e| {
                error.get_or_insert(e);
                std::cmp::Ordering::Equal
            })
        };
        if same.len() > 1 {
            same.sort_by(|a, b| compare(a.fd, b.fd).then(a.fd.cmp(&b.fd)));
        }
        groups.extend(same.chunk_by(|a, b| compare(a.fd, b.fd).is_eq()).map(<[&Fd]>::to_vec));
        if let Some(e) = error {
            return Err(e.into());
        }
    }
    groups.sort_by_key(|g| g[0].fd);
    Ok(groups)
}
