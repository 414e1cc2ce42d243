//! The terminal that a process ran on.

use std::io::{self, Write};

use cryo_format::section::terminal::Terminal;

use super::{Cx, Fields, Print};
use crate::names::bits;

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

impl Print for Terminal {
    const TITLE: &'static str = "terminal";

    fn print(&self, out: &mut dyn Write, _: &Cx<'_>) -> io::Result<()> {
        let mut fields = Fields::default();
        fields.add("window", format!("{} lines of {} columns", self.rows, self.columns));
        fields.add("input", bits(self.iflag.0, INPUT, " "));
        fields.add("output", bits(self.oflag.0, OUTPUT, " "));
        fields.add("local", bits(self.lflag.0, LOCAL, " "));
        fields.add("control", format!("{} {} bit/s", self.cflag, self.ospeed));
        fields.add("characters", format!("{:?}", self.controls));
        fields.add("group", if self.foreground != 0 { "in the foreground" } else { "in the background" });
        fields.print(out)
    }
}
