//! `FANO`: marked files.

use cryo_format::section::fanotify::Fanotify;
use cryo_tracee::Host;

use super::open::set_flags;
use super::paths;
use super::table::Table;
use crate::Result;
use crate::error::{RefusalKind, reason, refuse};

const FAN_MARK_ADD: u32 = 1;
const FAN_MARK_IGNORED_MASK: u32 = 0x20;
const FAN_CLOEXEC: u32 = 1;

/// Makes the group, without marks. For most of its kinds CAP_SYS_ADMIN is needed.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(group) = table.section::<Fanotify>(id) else { return Ok(None) };
    let args = [(group.init_flags | FAN_CLOEXEC).into(), group.event_flags.into(), 0, 0, 0, 0];
    let made = match host.call(libc::SYS_fanotify_init, args) {
        Ok(made) => made,
        Err(e) => {
            return refuse(
                RefusalKind::Permission,
                format!("fd {fd} (fanotify): {e}: thaw it as root, or use --fd {fd}=null", e = reason(&e)),
            );
        }
    };
    set_flags(host, made, group.open_flags.0)?;
    Ok(Some(made))
}

/// Adds the marks.
pub fn late(host: &mut Host, table: &Table<'_>) -> Result<()> {
    for (id, group) in table.all::<Fanotify>() {
        let Some(fd) = table.number(id) else { continue };
        for m in &group.marks {
            let found = paths::find(host, table, fd, &m.path)?;
            let mut batch = host.batch()?;
            let path = batch.put(format!("/proc/thread-self/fd/{}\0", found.handle).as_bytes());
            let mut mark = |flags: u32, mask: u64| {
                let flags = FAN_MARK_ADD | m.kind | flags;
                batch.call(libc::SYS_fanotify_mark, &[fd.into(), flags.into(), mask, libc::AT_FDCWD as u64, path.addr]);
            };
            if m.mask.0 != 0 {
                mark(m.flags & !0x40, m.mask.0);
            }
            if m.ignored.0 != 0 {
                mark(m.flags | FAN_MARK_IGNORED_MASK, m.ignored.0);
            }
            batch.call(libc::SYS_close, &[found.handle]);
            if let Err(e) = host.run(batch)?.all() {
                return refuse(
                    RefusalKind::File,
                    format!("fd {fd} (fanotify): marking {}: {e}: use --fd {fd}=null", m.path, e = reason(&e)),
                );
            }
        }
    }
    Ok(())
}
