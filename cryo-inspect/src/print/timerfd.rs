//! Timers as files.

use cryo_format::section::timerfd::Timerfd;

use super::{Cx, Print};
use crate::block::{Blocks, Cell};
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
        out.value("clock", one_of(self.clock.into(), CLOCKS));
        write!(out, "  ");
        out.value("flags", open_flags(self.open_flags.0));
        write!(out, "  ");
        match self.value_ns {
            0 => write!(out, "not armed"),
            ns => {
                write!(out, "expires in ");
                out.value("left_ns", Cell::new(seconds(ns), ns));
            }
        }
        if self.interval_ns != 0 {
            write!(out, ", then every ");
            out.value("interval_ns", Cell::new(seconds(self.interval_ns), self.interval_ns));
        }
        if self.settime_flags != 0 {
            let flags = &[(1, "TFD_TIMER_ABSTIME"), (2, "TFD_TIMER_CANCEL_ON_SET")];
            write!(out, "  ");
            out.value("settime_flags", bits(self.settime_flags.into(), flags, "|"));
        }
        match self.ticks {
            0 => writeln!(out),
            n => {
                write!(out, "  ");
                out.value("expirations", Cell::number(n));
                writeln!(out, " expirations to be read");
            }
        }
    }
}
