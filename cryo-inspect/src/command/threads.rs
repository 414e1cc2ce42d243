//! `threads`: a row for each thread.

use std::io::Write;

use clap::Args;
use cryo_format::section::thread::Thread;

use super::Look;
use super::syscall::doing;
use crate::Outcome;
use crate::arch::Registers;
use crate::block::{Cell, Table};
use crate::names::signal;
use crate::print::Cx;
use crate::text::shown;

/// A row for each thread: where it is, what it was doing, what it blocks
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect threads 4242.freeze
  cryo-inspect threads 4242.freeze --format csv")]
pub struct Threads {
    #[command(flatten)]
    look: Look,
}

impl Threads {
    /// Shows them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let blocks = opened.each(|cx, threads, out| {
            let mut table = Table::new(&[">tid", "name", "pc", "stack", "blocked", "doing"]);
            for id in threads {
                let cx = super::thread_of(cx, *id);
                let t = cx.ice.get::<Thread>(*id);
                let (pc, sp) = pointers(&cx).unwrap_or_default();
                table.row([
                    t.map_or_else(Cell::unknown, |t| Cell::number(t.tid)),
                    t.map_or_else(String::new, |t| shown(&t.comm)).into(),
                    Cell::hex(format!("{pc:012x}"), pc),
                    Cell::hex(format!("{sp:012x}"), sp),
                    t.map_or_else(String::new, |t| signal::set(t.sigmask.0)).into(),
                    doing(&cx).into(),
                ]);
            }
            out.table(table);
        });
        self.look.draw(&opened, blocks, out)
    }
}

/// Where a thread is, and its stack pointer.
pub fn pointers(cx: &Cx<'_>) -> Option<(u64, u64)> {
    Registers::of(cx.ice, cx.owner).map(|r| (r.pc(), r.sp()))
}
