//! `tree`: who is whose child.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use clap::Args;
use cryo_format::section::family::Family;
use cryo_format::section::process::Process;
use cryo_format::section::thread::Thread;

use super::syscall::doing;
use super::{Look, Opened};
use crate::Outcome;
use crate::block::{Blocks, Cell, Table};
use crate::text::{command_line, shown};

/// The processes as a tree, with their threads and what these were doing
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect tree 4242.freeze
  cryo-inspect tree 4242.freeze --no-threads")]
pub struct Tree {
    #[command(flatten)]
    look: Look,
    /// Only processes
    #[arg(long)]
    no_threads: bool,
}

impl Tree {
    /// Shows it.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let mut blocks = Blocks::default();
        blocks.table(table(&opened, !self.no_threads));
        self.look.draw(&opened, blocks, out)
    }
}

/// A row for each process and, where that is asked for, each thread.
pub fn table(opened: &Opened, threads: bool) -> Table {
    let ice = &opened.ice;
    let known: BTreeMap<u64, u64> =
        opened.people.processes.keys().filter_map(|o| Some((ice.get::<Process>(*o)?.pid, *o))).collect();
    let mut children: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut roots = Vec::new();
    for (pid, owner) in &known {
        let parent = ice.get::<Process>(*owner).map_or(0, |p| p.ppid);
        if known.contains_key(&parent) && parent != *pid {
            children.entry(parent).or_default().push(*pid);
        } else {
            roots.push(*pid);
        }
    }
    let mut tree = Rows {
        opened,
        known: &known,
        children: &children,
        threads,
        table: Table::new(&["tree", ">pid", ">parent", ">group", ">session", "name", "doing"]),
        seen: BTreeSet::new(),
    };
    // Those of a ring of parents, which only a lie makes, are shown all the same.
    roots.extend(known.keys().copied().filter(|pid| !roots.contains(pid)).collect::<Vec<_>>());
    for pid in roots {
        tree.process(pid, 0);
    }
    tree.table
}

struct Rows<'a> {
    opened: &'a Opened,
    known: &'a BTreeMap<u64, u64>,
    children: &'a BTreeMap<u64, Vec<u64>>,
    threads: bool,
    table: Table,
    seen: BTreeSet<u64>,
}

impl Rows<'_> {
    fn process(&mut self, pid: u64, depth: usize) {
        // One so deep begins a tree of its own.
        if depth > 256 || !self.seen.insert(pid) {
            return;
        }
        let Some(owner) = self.known.get(&pid) else { return };
        let ice = &self.opened.ice;
        let Some(p) = ice.get::<Process>(*owner) else { return };
        let cx = crate::print::Cx { ice, owner: *owner, process: Some(*owner) };
        let threads = self.opened.people.processes.get(owner).map_or(&[][..], Vec::as_slice);
        let first = threads.first().map_or_else(String::new, |id| doing(&super::thread_of(&cx, *id)));
        self.row(depth, "process", [pid, p.ppid, p.pgid, p.sid].map(Cell::number), command_line(&p.cmdline, 60), first);
        let others = if self.threads { threads.get(1..).unwrap_or_default() } else { &[] };
        for id in others {
            let Some(t) = ice.get::<Thread>(*id) else { continue };
            let ids = [Cell::number(t.tid), Cell::number(pid), Cell::number(p.pgid), Cell::number(p.sid)];
            self.row(depth + 1, "thread", ids, shown(&t.comm), doing(&super::thread_of(&cx, *id)));
        }
        for z in ice.get::<Family>(0).iter().flat_map(|f| &f.zombies).filter(|z| z.ppid == pid) {
            let ids = [z.pid, z.ppid, z.pgid, z.sid].map(Cell::number);
            self.row(depth + 1, "zombie", ids, shown(&z.name), format!("wait status {:#x}", z.status));
        }
        for child in self.children.get(&pid).into_iter().flatten() {
            self.process(*child, depth + 1);
        }
    }

    fn row(&mut self, depth: usize, what: &str, ids: [Cell; 4], name: String, doing: String) {
        let [pid, parent, group, session] = ids;
        let place = Cell::new(format!("{}{what}", "  ".repeat(depth.min(40))), what);
        self.table.row([place, pid, parent, group, session, name.into(), doing.into()]);
    }
}
