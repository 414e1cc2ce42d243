//! The system call that a thread was stopped in, and how it goes on.

use cryo_format::section::syscall::{Restart, Syscall};

use super::{Cx, Order, Print};
use crate::block::Blocks;
use crate::names::syscall;
use crate::text::duration;

/// `remaining_ns` is known.
const REMAINING: u32 = 1;

impl Print for Syscall {
    const TITLE: &'static str = "system call";
    const ORDER: Order = Order::First;

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let name = syscall::name(cx.machine(), self.number);
        let shown = name.map_or(6, syscall::arguments);
        let args: Vec<String> = self.args.iter().take(shown).map(|a| argument(a.0)).collect();
        let name = name.map_or_else(|| format!("number {}", self.number), str::to_owned);
        writeln!(out, "{name}({})", args.join(", "));
        let how = match self.restart {
            Restart::NONE => "done: rax is its result".to_owned(),
            Restart::SYS => "starts again, unless a handler without SA_RESTART runs (ERESTARTSYS)".to_owned(),
            Restart::NOINTR => "starts again (ERESTARTNOINTR)".to_owned(),
            Restart::NOHAND => "starts again, unless a handler runs (ERESTARTNOHAND)".to_owned(),
            Restart::RESTARTBLOCK => "goes on for the time that is left (ERESTART_RESTARTBLOCK)".to_owned(),
            Restart(other) => format!("unknown restart code {other}"),
        };
        writeln!(out, "{how}");
        if self.flags & REMAINING != 0 {
            writeln!(out, "time left: {}", duration(self.remaining_ns));
        }
        match self.flags & !REMAINING {
            0 => {}
            rest => writeln!(out, "unknown flags {rest:#x}"),
        }
    }
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
