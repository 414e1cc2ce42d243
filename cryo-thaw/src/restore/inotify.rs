//! `INOT`: watched files.

use std::os::unix::fs::MetadataExt;

use cryo_format::section::inotify::Inotify;
use cryo_tracee::Host;

use super::open::set_flags;
use super::paths;
use super::table::Table;
use crate::Result;
use crate::error::{RefusalKind, refuse};
use crate::file_map;

/// linux/inotify.h: _IOW('I', 0, __s32).
const INOTIFY_IOC_SETNEXTWD: u64 = 0x4004_4900;
/// Watches made and removed to get at a number, where the kernel does not take it as an order.
const STEPS: u32 = 10_000;

/// Makes it, without watches.
pub fn restore(host: &mut Host, table: &mut Table<'_>, _: u32, id: u64) -> Result<Option<u64>> {
    let Some(inotify) = table.section::<Inotify>(id) else { return Ok(None) };
    let made = host.call(libc::SYS_inotify_init1, [libc::IN_CLOEXEC as u64, 0, 0, 0, 0, 0])?;
    set_flags(host, made, inotify.open_flags.0)?;
    Ok(Some(made))
}

/// Adds the watches, when nothing more is done to files: what we do is not for the program to hear of.
pub fn late(host: &mut Host, table: &Table<'_>) -> Result<()> {
    for (id, inotify) in table.all::<Inotify>() {
        let Some(fd) = table.number(id) else { continue };
        for w in &inotify.watches {
            let found = paths::find(host, table, fd, &w.path)?;
            if found.meta.ino() != w.ino && !found.mapped {
                if table.paths.same_machine && !found.made_up {
                    return refuse(
                        RefusalKind::File,
                        format!(
                            "fd {fd}: it watches {}, which is another file now: bring the right one back, or use {} or --fd {fd}=null",
                            found.path,
                            file_map::or_this(found.path.as_bytes())
                        ),
                    );
                }
                table.options.notes.add(format!("fd {fd}: it watches {}, which is another file here", found.path));
            }
            let got = add(host, fd, w.wd, w.mask, found.handle);
            host.call(libc::SYS_close, [found.handle, 0, 0, 0, 0, 0])?;
            match got {
                Ok(wd) if wd == u64::from(w.wd) => {}
                Ok(wd) => {
                    return refuse(
                        RefusalKind::File,
                        format!("fd {fd}: its watch of {} has become {wd} and was {}", w.path, w.wd),
                    );
                }
                Err(e) => {
                    return refuse(RefusalKind::File, format!("fd {fd}: watching {}: {e}: use --fd {fd}=null", w.path));
                }
            }
        }
    }
    Ok(())
}

/// One watch, of what an O_PATH descriptor of the host is for.
fn add(host: &mut Host, fd: u32, wd: u32, mask: u32, handle: u64) -> Result<u64> {
    let mut batch = host.batch()?.continue_at_error();
    let path = batch.put(format!("/proc/thread-self/fd/{handle}\0").as_bytes());
    let next = batch.call(libc::SYS_ioctl, &[fd.into(), INOTIFY_IOC_SETNEXTWD, wd.into()]);
    let watch = [fd.into(), path.addr, mask.into()];
    let call = batch.call(libc::SYS_inotify_add_watch, &watch);
    let done = host.run(batch)?;
    let got = done.result(call)?;
    if done.result(next).is_ok() || got == u64::from(wd) {
        return Ok(got);
    }
    // Numbers are given in turn, and each removal leaves an event behind.
    let mut got = got;
    for _ in 0..STEPS {
        host.call(libc::SYS_inotify_rm_watch, [fd.into(), got, 0, 0, 0, 0])?;
        let mut batch = host.batch()?;
        let gone = batch.space(64);
        batch.call(libc::SYS_read, &[fd.into(), gone.addr, 64]);
        let path = batch.put(format!("/proc/thread-self/fd/{handle}\0").as_bytes());
        let call = batch.call(libc::SYS_inotify_add_watch, &[fd.into(), path.addr, mask.into()]);
        got = host.run(batch)?.result(call)?;
        if got >= u64::from(wd) {
            break;
        }
    }
    Ok(got)
}
