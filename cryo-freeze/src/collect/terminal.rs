//! `TERM`: the settings of the terminal that the process ran on.

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use cryo_format::section::terminal::Terminal;

use super::description::{Cx, Fd};
use super::termios::settings;
use super::{ptys, sessions};
use crate::Result;

/// Terminals by device number: 4 (consoles, serial), 5 (/dev/tty), 136-143 (pseudo-terminals). Documentation/admin-guide/devices.txt
pub fn is(f: &Fd) -> bool {
    f.meta.file_type().is_char_device() && matches!(rustix::fs::major(f.meta.rdev()), 4 | 5 | 136..=143)
}

/// Adds the settings of the first terminal among the descriptors that is not the process's own pseudo-terminal.
pub fn collect(cx: &mut Cx<'_>) -> Result<()> {
    let Some(f) = cx.all.iter().map(super::description::Description::first).find(|f| is(f) && !ptys::inside(cx, f))
    else {
        return Ok(());
    };
    // One that has hung up has no settings any more.
    let Ok(settings) = settings(&cx.take(f)?) else { return Ok(()) };
    // The foreground is that of the controlling terminal, which may be one of its own.
    let (group, foreground) = (cx.scene.stat.field(5)?, cx.scene.stat.field(8)?);
    let own = sessions::terminal(cx)?.and_then(|index| ptys::id(cx, index)).is_some();
    cx.out.add(cx.scene.id, Terminal { foreground: u32::from(group == foreground && !own), reserved: 0, settings });
    Ok(())
}
