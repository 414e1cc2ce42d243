//! The settings of a terminal or pseudo-terminal.

use std::os::fd::OwnedFd;

use cryo_format::prim::{Addr, Blob};
use cryo_format::section::terminal::Settings;
use rustix::termios::SpecialCodeIndex as Index;

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
