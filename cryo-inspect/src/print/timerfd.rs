//! Timers as files.

use cryo_format::section::timerfd::Timerfd;

use super::{Cx, Print};
use crate::block::Blocks;
use crate::names::open::open_flags;
use crate::names::{bits, one_of};

const CLOCKS: &[(u64, &str)] = &[
    (0, "CLOCK_REALTIME"),
    (1, "CLOCK_MONOTONIC"),
    (7, "CLOCK_BOOTTIME"),
    (8, "CLOCK_REALTIME_ALARM"),
    (9, "CLOCK_BOOTTIME_ALARM"),
];

fn seconds(ns: u64) -> String {
    format!("{}.{:09} s", ns / 1_000_000_000, ns % 1_000_000_000)
}

impl Print for Timerfd {
    const TITLE: &'static str = "timerfd";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        write!(out, "{}  {}  ", one_of(self.clock.into(), CLOCKS), open_flags(self.open_flags.0));
        match self.value_ns {
            0 => write!(out, "not armed"),
            ns => write!(out, "expires in {}", seconds(ns)),
        }
        if self.interval_ns != 0 {
            write!(out, ", then every {}", seconds(self.interval_ns));
        }
        if self.settime_flags != 0 {
            let flags = &[(1, "TFD_TIMER_ABSTIME"), (2, "TFD_TIMER_CANCEL_ON_SET")];
            write!(out, "  {}", bits(self.settime_flags.into(), flags, "|"));
        }
        match self.ticks {
            0 => writeln!(out),
            n => writeln!(out, "  {n} expirations to be read"),
        }
    }
}
