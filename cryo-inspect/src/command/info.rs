//! `info`: one screen about an image.

use std::io::Write;

use clap::Args;
use cryo_format::section::cpu::Cpu;
use cryo_format::section::credentials::Credentials;
use cryo_format::section::descriptors::Descriptors;
use cryo_format::section::extents::Extents;
use cryo_format::section::notes::Notes;
use cryo_format::section::origin::Origin;
use cryo_format::section::parent::ParentSet;
use cryo_format::section::process::Process;
use cryo_format::section::vmas::Vmas;

use super::Look;
use super::syscall::doing;
use crate::Outcome;
use crate::block::{Blocks, Cell, Fields, Group, Table};
use crate::dump;
use crate::print::fpu;
use crate::text::{command_line, count, duration, shown, shown_or, size, time};

/// One screen: what, when, where, how big, and what it needs to thaw
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect info 4242.freeze
  cryo-freeze 4242 -o - --leave-running | cryo-inspect info -
  cryo-inspect info 4242.freeze --format json | jq '.image.pages_stored'")]
pub struct Info {
    #[command(flatten)]
    look: Look,
}

impl Info {
    /// Shows it.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let ice = &opened.ice;
        let mut blocks = Blocks::default();
        let mut about = dump::summary(ice);
        let mut fields = Fields::default();
        if let Some(o) = ice.get::<Origin>(0) {
            let tool = shown_or(&o.tool, "an unnamed tool");
            fields.add("frozen", Cell::new(format!("{} by {tool}", time(o.time_sec)), o.time_sec));
            fields.add("on", format!("{}, {}", shown_or(&o.host, "(unknown)"), shown_or(&o.kernel, "(unknown)")));
            if o.stopped_ns != 0 {
                fields.add("stood still", Cell::new(format!("for {}", duration(o.stopped_ns)), o.stopped_ns));
            }
        }
        if let Some(cpu) = ice.get::<Cpu>(0) {
            fields.add("processor", shown_or(&cpu.brand, "(unknown)"));
            let features: Vec<String> = cpu.features.iter().map(|f| shown(f)).collect();
            let text = format!(
                "{} in use; {} of instructions",
                fpu::components(cpu.in_use.0),
                count(features.len() as u64, "set", "sets")
            );
            fields.add("needs", Cell::new(text, features));
        }
        if let Some(parent) = ice.get::<ParentSet>(0) {
            fields.add(
                "parent",
                Cell::new(format!("{}, which has pages of it", shown(&parent.name)), shown(&parent.name)),
            );
        }
        about.fields(fields);
        if let Some(notes) = ice.get::<Notes>(0).filter(|n| !n.notes.is_empty()) {
            let text = count(notes.notes.len() as u64, "note", "notes");
            about.warn(format!("{text} of what was left out or replaced: cryo-inspect notes"));
        }
        blocks.group(Group::one("image", dump::who(ice), about));
        let mut table = Table::new(&[">pid", "command", ">threads", ">memory", ">stored", ">fds", ">user", "doing"]);
        for (cx, threads) in opened.processes() {
            let p = ice.get::<Process>(cx.owner);
            let whole = ice
                .get::<Vmas>(cx.owner)
                .map_or(0, |v| v.vmas.iter().fold(0u64, |sum, v| sum.saturating_add(v.end.0 - v.start.0)));
            let held = ice.pages(cx.owner);
            let stored = held.stored.saturating_add(held.file).saturating_mul(ice.page_size());
            let fds = ice.get::<Descriptors>(cx.owner).map_or(0, |d| d.descriptors.len() as u64);
            let user = ice.get::<Credentials>(cx.owner).map(|c| c.uid[1]).or(p.map(|p| p.uid[1]));
            let first = threads.first().map_or_else(String::new, |id| doing(&super::thread_of(&cx, *id)));
            table.row([
                p.map_or_else(Cell::unknown, |p| Cell::number(p.pid)),
                p.map_or_else(String::new, |p| command_line(&p.cmdline, 40)).into(),
                Cell::number(threads.len() as u64),
                Cell::size(whole),
                Cell::size(stored),
                Cell::number(fds),
                user.map_or_else(Cell::unknown, |uid| Cell::number(uid.into())),
                first.into(),
            ]);
        }
        if !table.rows.is_empty() {
            blocks.caption("");
            blocks.group(Group::one("processes", "", [table].into()));
        }
        let objects: u64 = ice
            .owners()
            .iter()
            .filter(|owner| !opened.people.processes.contains_key(owner))
            .filter(|owner| ice.sections::<Extents>(**owner).next().is_some())
            .map(|owner| ice.pages(*owner).stored.saturating_mul(ice.page_size()))
            .fold(0, u64::saturating_add);
        if objects > 0 {
            blocks.caption(format!("and {} of files and shared memory", size(objects)));
        }
        self.look.draw(&opened, blocks, out)
    }
}
