//! POSIX timers.

use cryo_format::section::ptimers::{Ptimer, Ptimers};

use super::{Cx, Print, thread};
use crate::block::{Blocks, Cell, Table};
use crate::names::{one_of, signal};

const CLOCKS: &[(u64, &str)] = &[
    (0, "REALTIME"),
    (1, "MONOTONIC"),
    (4, "MONOTONIC_RAW"),
    (7, "BOOTTIME"),
    (8, "REALTIME_ALARM"),
    (9, "BOOTTIME_ALARM"),
    (11, "TAI"),
];

impl Print for Ptimers {
    const TITLE: &'static str = "POSIX timers";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let mut table = Table::new(&[">id", "clock", ">left", ">interval", ">overrun", "notification"]);
        for t in &self.timers {
            let left = if t.value_ns == 0 { Cell::new("(not armed)", 0) } else { Cell::duration(t.value_ns) };
            let interval = if t.interval_ns == 0 { Cell::count(0) } else { Cell::duration(t.interval_ns) };
            let [id, overrun] = [t.id.into(), t.overrun].map(Cell::number);
            table.row([id, clock(t, cx).into(), left, interval, overrun, notification(t, cx).into()]);
        }
        out.table(table);
    }
}

fn clock(t: &Ptimer, cx: &Cx<'_>) -> String {
    if t.clock >= 0 {
        return one_of(t.clock as u64, CLOCKS);
    }
    let of = if t.clock_thread == 0 { "the process".to_owned() } else { thread(t.clock_thread, cx) };
    match t.clock & 3 {
        0 => format!("CPU time (profiling) of {of}"),
        1 => format!("CPU time (user) of {of}"),
        _ => format!("CPU time of {of}"),
    }
}

fn notification(t: &Ptimer, cx: &Cx<'_>) -> String {
    let with = format!("{} value {}", signal::name(t.signal.into()), t.value);
    match t.notify {
        1 => "none".to_owned(),
        Ptimer::THREAD_ID => format!("{with} to {}", thread(t.thread, cx)),
        _ => with,
    }
}
