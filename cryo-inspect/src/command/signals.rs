//! `signals`: handlers, masks, what is pending.

use std::io::Write;

use clap::Args;
use cryo_format::section::Section;
use cryo_format::section::actions::Actions;
use cryo_format::section::pending::Pending;
use cryo_format::section::thread::Thread;

use super::Look;
use crate::Outcome;
use crate::block::{Blocks, Cell, Group, Table};
use crate::dump::section;
use crate::names::signal;
use crate::text::{count, shown};

/// Handlers, and what is pending for the process; what each thread blocks, and what is pending for it
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect signals 4242.freeze
  cryo-inspect signals 4242.freeze --format json | jq '.processes[].threads[].blocked'")]
pub struct Signals {
    #[command(flatten)]
    look: Look,
}

impl Signals {
    /// Shows them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let blocks = opened.each(|cx, threads, out| {
            for entry in cx.ice.of(cx.owner).filter(|e| [Actions::KIND, Pending::KIND].contains(&e.kind)) {
                out.group(section(entry, cx));
            }
            let mut table = Table::new(&[">tid", "name", "blocked", ">pending"]);
            for id in threads {
                let Some(t) = cx.ice.get::<Thread>(*id) else { continue };
                let pending = cx.ice.get::<Pending>(*id).map_or(0, |p| p.signals.len() as u64);
                table.row([
                    Cell::number(t.tid),
                    shown(&t.comm).into(),
                    signal::set(t.sigmask.0).into(),
                    Cell::count(pending),
                ]);
            }
            out.group(Group::one("threads", count(threads.len() as u64, "thread", "threads"), [table].into()));
            for id in threads {
                let cx = super::thread_of(cx, *id);
                for entry in cx.ice.of(*id).filter(|e| e.kind == Pending::KIND) {
                    let mut within = Blocks::default();
                    within.group(section(entry, &cx));
                    out.group(Group::many("pending", super::thread_id(&cx), super::thread_title(&cx), within));
                }
            }
        });
        self.look.draw(&opened, blocks, out)
    }
}
