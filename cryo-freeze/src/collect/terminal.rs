//! `TERM`: the settings of the terminal that the process ran on.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use cryo_format::section::terminal::Terminal;
use cryo_tracee::tty;

use super::description::{Cx, Description, Fd};
use super::termios::settings;
use super::{files, ptys};
use crate::Result;

/// Terminals by device number: 4 (consoles, serial), 5 (/dev/tty), 136-143 (pseudo-terminals). Documentation/admin-guide/devices.txt
pub fn is(f: &Fd) -> bool {
    f.meta.file_type().is_char_device() && matches!(rustix::fs::major(f.meta.rdev()), 4 | 5 | 136..=143)
}

/// Adds for each process the settings of the first terminal among its descriptors that is not a pseudo-terminal of theirs.
pub fn collect(cx: &mut Cx<'_>) -> Result<()> {
    let mut found: BTreeMap<usize, &Fd> = BTreeMap::new();
    // A console that is held open as a device is none of theirs.
    let runs_on =
        |d: &&Description<'_>| is(d.first()) && !ptys::inside(cx, d.first()) && !files::console(cx, d).unwrap_or(false);
    for d in cx.all.iter().filter(runs_on) {
        for f in d.fds.iter().filter(|f| f.holder < cx.scenes.len()) {
            let first = found.entry(f.holder).or_insert(f);
            if f.fd < first.fd {
                *first = f;
            }
        }
    }
    for f in found.into_values() {
        // One that has hung up has no settings any more.
        let tty = cx.take(f)?;
        let Ok(settings) = settings(&tty) else { continue };
        // Who has asked for that, this program or another one on it (X, for all that it starts), nobody can ask.
        if matches!((rustix::fs::major(f.meta.rdev()), rustix::fs::minor(f.meta.rdev())), (4, 0..=63) | (5, 1))
            && tty::is_driven(&tty)?
        {
            cx.out.note(
                f.name(),
                "a program draws on this virtual terminal (KDSETMODE), or is asked before it is switched (VT_SETMODE): if it is this one, it must begin anew",
            );
        }
        let scene = cx.of(f);
        // The foreground is that of the controlling terminal, which may be one of theirs.
        let (group, foreground) = (scene.stat.field(5)?, scene.stat.field(8)?);
        let own = ptys::controlling(scene)?.and_then(|index| ptys::id(cx, index)).is_some();
        let foreground = u32::from(group == foreground && !own);
        cx.out.add(scene.id, Terminal { foreground, reserved: 0, settings });
    }
    Ok(())
}
