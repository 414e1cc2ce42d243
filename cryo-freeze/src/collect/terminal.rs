//! `TERM`: the settings of the terminal that the process ran on.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use cryo_format::prim::{Addr, Blob};
use cryo_format::section::terminal::{Settings, Terminal};
use rustix::termios::SpecialCodeIndex as Index;

use super::description::{Cx, Fd};
use super::ptys;
use crate::Result;

/// c_cc in the kernel's order: 17 characters have a name, two have none.
const CONTROLS: [Index; 17] = [
    Index::VINTR,
    Index::VQUIT,
    Index::VERASE,
    Index::VKILL,
    Index::VEOF,
    Index::VTIME,
    Index::VMIN,
    Index::VSWTC,
    Index::VSTART,
    Index::VSTOP,
    Index::VSUSP,
    Index::VEOL,
    Index::VREPRINT,
    Index::VDISCARD,
    Index::VWERASE,
    Index::VLNEXT,
    Index::VEOL2,
];
/// Length of c_cc.
const LEN: usize = 19;

/// termios(3) and the window's size.
pub fn settings(tty: &OwnedFd) -> rustix::io::Result<Settings> {
    let termios = rustix::termios::tcgetattr(tty)?;
    let window = rustix::termios::tcgetwinsize(tty)?;
    let mut controls: Vec<u8> = CONTROLS.iter().map(|i| termios.special_codes[*i]).collect();
    controls.resize(LEN, 0);
    Ok(Settings {
        iflag: Addr(termios.input_modes.bits().into()),
        oflag: Addr(termios.output_modes.bits().into()),
        cflag: Addr(termios.control_modes.bits().into()),
        lflag: Addr(termios.local_modes.bits().into()),
        line: termios.line_discipline.into(),
        ispeed: termios.input_speed(),
        ospeed: termios.output_speed(),
        rows: window.ws_row.into(),
        columns: window.ws_col.into(),
        xpixel: window.ws_xpixel.into(),
        ypixel: window.ws_ypixel.into(),
        controls: Blob::from(controls),
    })
}

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
    let (group, foreground) = (cx.scene.stat.field(5)?, cx.scene.stat.field(8)?);
    cx.out.add(cx.scene.id, Terminal { foreground: u32::from(group == foreground), reserved: 0, settings });
    Ok(())
}
