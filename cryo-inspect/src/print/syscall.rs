//! The system call that a thread was stopped in, and how it goes on.

use cryo_format::section::syscall::{Restart, Syscall};

use super::{Cx, Order, Print};
use crate::block::{Blocks, Cell};
use crate::names::syscall;

/// `remaining_ns` is known.
const REMAINING: u32 = 1;

impl Print for Syscall {
    const TITLE: &'static str = "system call";
    const ORDER: Order = Order::First;

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        out.value("call", call(self, cx));
        writeln!(out);
        let how = match self.restart {
            Restart::NONE => "done: rax is its result".to_owned(),
            Restart::SYS => "starts again, unless a handler without SA_RESTART runs (ERESTARTSYS)".to_owned(),
            Restart::NOINTR => "starts again (ERESTARTNOINTR)".to_owned(),
            Restart::NOHAND => "starts again, unless a handler runs (ERESTARTNOHAND)".to_owned(),
            Restart::RESTARTBLOCK => "goes on for the time that is left (ERESTART_RESTARTBLOCK)".to_owned(),
            Restart(other) => format!("unknown restart code {other}"),
        };
        out.value("then", how);
        writeln!(out);
        if self.flags & REMAINING != 0 {
            write!(out, "time left: ");
            out.value("left_ns", Cell::duration(self.remaining_ns));
            writeln!(out);
        }
        match self.flags & !REMAINING {
            0 => {}
            rest => writeln!(out, "unknown flags {rest:#x}"),
        }
    }
}

/// `clock_nanosleep(1, 0, 0x7ffd00010010, 0x7ffd00010020)`
pub fn call(call: &Syscall, cx: &Cx<'_>) -> String {
    let name = syscall::name(cx.machine(), call.number);
    let shown = name.map_or(6, syscall::arguments);
    let args: Vec<String> = call.args.iter().take(shown).map(|a| argument(a.0)).collect();
    let name = name.map_or_else(|| format!("number {}", call.number), str::to_owned);
    format!("{name}({})", args.join(", "))
}

/// Small numbers as they are, negative ones too (AT_FDCWD, -1), the rest in hex.
fn argument(value: u64) -> String {
    match value {
        0..1024 => value.to_string(),
        v if (v as i64) < 0 && (v as i64) >= -4096 => (v as i64).to_string(),
        v @ 0xffff_f000..=0xffff_ffff => (v as i32).to_string(),
        v => format!("{v:#x}"),
    }
}
