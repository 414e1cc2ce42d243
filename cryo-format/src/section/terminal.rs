//! `TERM`: the settings of the terminal that the process ran on. Owner: the process. (termios(3), TIOCGWINSZ)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Blob};
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;

/// A terminal.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Terminal {
    /// 1 if the process was of the group in the foreground.
    pub foreground: u32,
    /// Must be zero.
    pub reserved: u32,
    /// What is set.
    #[serde(flatten)]
    pub settings: Settings,
}

/// termios(3) and TIOCGWINSZ, of any terminal.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Settings {
    /// c_iflag.
    pub iflag: Addr,
    /// c_oflag.
    pub oflag: Addr,
    /// c_cflag.
    pub cflag: Addr,
    /// c_lflag.
    pub lflag: Addr,
    /// Line discipline; 0 is N_TTY.
    pub line: u32,
    /// Input speed in bits per second.
    pub ispeed: u32,
    /// Output speed.
    pub ospeed: u32,
    /// Lines of the window.
    pub rows: u32,
    /// Columns of the window.
    pub columns: u32,
    /// Its width in pixels.
    pub xpixel: u32,
    /// Its height in pixels.
    pub ypixel: u32,
    /// c_cc: the special characters in the kernel's order, 19 bytes.
    pub controls: Blob,
}

impl Validate for Terminal {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.reserved == 0, Rule::RESERVED, || "the reserved field is not zero")
    }
}
