//! `syscall`: what each thread was doing.

use std::io::Write;

use clap::Args;
use cryo_format::section::syscall::Restart;
use cryo_format::section::thread::Thread;

use super::Look;
use crate::Outcome;
use crate::arch::Registers;
use crate::block::{Cell, Table};
use crate::print::Cx;
use crate::print::syscall::Call;
use crate::text::{duration, shown};

/// What each thread was doing: the system call, its arguments, how it goes on and how much time is left
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect syscall 4242.freeze
  cryo-inspect syscall 4242.freeze --format csv | grep futex")]
pub struct Syscall {
    #[command(flatten)]
    look: Look,
}

impl Syscall {
    /// Shows it.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let blocks = opened.each(|cx, threads, out| {
            let mut table = Table::new(&[">tid", "name", "call", "then", ">left"]);
            for id in threads {
                let cx = super::thread_of(cx, *id);
                let thread = cx.ice.get::<Thread>(*id);
                let found = Call::of(&cx, *id);
                let left = found.as_ref().and_then(Call::remaining).map_or_else(Cell::unknown, Cell::duration);
                table.row([
                    thread.map_or_else(Cell::unknown, |t| Cell::number(t.tid)),
                    thread.map_or_else(String::new, |t| shown(&t.comm)).into(),
                    found.as_ref().map_or_else(|| place(&cx).unwrap_or_else(|| "-".to_owned()), Call::shown).into(),
                    found.as_ref().map_or("", |c| then(c.restart)).into(),
                    left,
                ]);
            }
            out.table(table);
        });
        self.look.draw(&opened, blocks, out)
    }
}

fn then(restart: Restart) -> &'static str {
    match restart {
        Restart::NONE => "done",
        Restart::SYS | Restart::NOINTR | Restart::NOHAND => "starts again",
        Restart::RESTARTBLOCK => "goes on",
        _ => "unknown",
    }
}

/// Where a thread is that is in no system call.
fn place(cx: &Cx<'_>) -> Option<String> {
    let pc = Registers::of(cx.ice, cx.owner)?.pc();
    Some(format!("runs at {}", cx.at(pc).unwrap_or_else(|| format!("{pc:#x}"))))
}

/// In a few words: `in clock_nanosleep, goes on, 3.200 s left`.
pub fn doing(cx: &Cx<'_>) -> String {
    if cx.ice.get::<Thread>(cx.owner).is_some_and(|t| t.exited != 0) {
        return "has exited".to_owned();
    }
    let Some(c) = Call::of(cx, cx.owner) else { return place(cx).unwrap_or_default() };
    let mut text = format!("in {}, {}", c.name().unwrap_or("an unknown call"), then(c.restart));
    if let Some(ns) = c.remaining() {
        text += &format!(", {} left", duration(ns));
    }
    text
}
