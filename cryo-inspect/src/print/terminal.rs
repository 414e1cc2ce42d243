//! The terminal that a process ran on.

use cryo_format::section::terminal::{Settings, Terminal};

use super::{Cx, Print};
use crate::block::{Blocks, Fields};
use crate::names::{bits, one_of};
use crate::text::wrap;

const INPUT: &[(u64, &str)] = &[
    (0o1, "IGNBRK"),
    (0o2, "BRKINT"),
    (0o4, "IGNPAR"),
    (0o10, "PARMRK"),
    (0o20, "INPCK"),
    (0o40, "ISTRIP"),
    (0o100, "INLCR"),
    (0o200, "IGNCR"),
    (0o400, "ICRNL"),
    (0o1000, "IUCLC"),
    (0o2000, "IXON"),
    (0o4000, "IXANY"),
    (0o10_000, "IXOFF"),
    (0o20_000, "IMAXBEL"),
    (0o40_000, "IUTF8"),
];
const OUTPUT: &[(u64, &str)] =
    &[(0o1, "OPOST"), (0o2, "OLCUC"), (0o4, "ONLCR"), (0o10, "OCRNL"), (0o20, "ONOCR"), (0o40, "ONLRET")];
const LOCAL: &[(u64, &str)] = &[
    (0o1, "ISIG"),
    (0o2, "ICANON"),
    (0o4, "XCASE"),
    (0o10, "ECHO"),
    (0o20, "ECHOE"),
    (0o40, "ECHOK"),
    (0o100, "ECHONL"),
    (0o200, "NOFLSH"),
    (0o400, "TOSTOP"),
    (0o1000, "ECHOCTL"),
    (0o2000, "ECHOPRT"),
    (0o4000, "ECHOKE"),
    (0o10_000, "FLUSHO"),
    (0o40_000, "PENDIN"),
    (0o100_000, "IEXTEN"),
];

const CONTROL: &[(u64, &str)] = &[
    (0o100, "CSTOPB"),
    (0o200, "CREAD"),
    (0o400, "PARENB"),
    (0o1000, "PARODD"),
    (0o2000, "HUPCL"),
    (0o4000, "CLOCAL"),
    (0o20_000_000_000, "CRTSCTS"),
];
/// Of c_cflag: the size of a character (CSIZE), and both speeds (CBAUD, CIBAUD), which stand by themselves.
const CSIZE: u64 = 0o60;
const SPEEDS: u64 = 0o2_003_610_017;
/// c_cc in the kernel's order.
const CHARACTERS: [&str; 17] = [
    "INTR", "QUIT", "ERASE", "KILL", "EOF", "TIME", "MIN", "SWTC", "START", "STOP", "SUSP", "EOL", "REPRINT",
    "DISCARD", "WERASE", "LNEXT", "EOL2",
];
/// A line of names is at most that long.
const WIDTH: usize = 90;

/// c_iflag, c_oflag and c_lflag by their names.
pub fn modes(set: &Settings) -> [String; 3] {
    [(set.iflag, INPUT), (set.oflag, OUTPUT), (set.lflag, LOCAL)].map(|(flags, names)| bits(flags.0, names, " "))
}

/// c_cflag without the speeds.
fn control(cflag: u64) -> String {
    let size = one_of(cflag & CSIZE, &[(0, "CS5"), (0o20, "CS6"), (0o40, "CS7"), (0o60, "CS8")]);
    format!("{size} {}", bits(cflag & !CSIZE & !SPEEDS, CONTROL, " "))
}

/// `INTR ^C`; what is switched off is left out.
fn characters(controls: &[u8]) -> String {
    let named = CHARACTERS.iter().zip(controls).filter_map(|(name, &byte)| match (*name, byte) {
        ("TIME" | "MIN", number) => Some(format!("{name} {number}")),
        (_, 0) => None,
        (_, 0x7f) => Some(format!("{name} ^?")),
        (_, 1..0x20) => Some(format!("{name} ^{}", char::from(byte + 0x40))),
        (_, 0x20..0x7f) => Some(format!("{name} {}", char::from(byte))),
        _ => Some(format!("{name} {byte:#x}")),
    });
    wrap(named, WIDTH)
}

impl Print for Terminal {
    const TITLE: &'static str = "terminal";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let (mut fields, set) = (Fields::default(), &self.settings);
        fields.add("window", format!("{} lines of {} columns", set.rows, set.columns));
        for (label, names) in ["input", "output", "local"].iter().zip(modes(set)) {
            fields.add(label, names);
        }
        fields.add("control", format!("{}  {} bit/s", control(set.cflag.0), set.ospeed));
        fields.add("characters", characters(&set.controls));
        fields.add("group", if self.foreground != 0 { "in the foreground" } else { "in the background" });
        out.fields(fields);
    }
}
