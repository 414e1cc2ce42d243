//! `fds`: the table of descriptors.

use std::collections::HashMap;
use std::io::Write;

use clap::Args;
use cryo_format::section::descriptors::{Descriptor, Descriptors, ThreadDescriptors};
use cryo_format::section::thread::Thread;

use super::Look;
use crate::Outcome;
use crate::block::{Blocks, Cell, Group, Table};
use crate::names::bits;
use crate::print::descriptors::description;
use crate::print::{Cx, descriptions};

/// Every descriptor, and what it refers to: files, pipes with what is in them, sockets with their peers and queues, ...
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect fds 4242.freeze
  cryo-inspect fds 4242.freeze --kind unix --kind inet
  cryo-inspect fds 4242.freeze --format jsonl | jq -r '.what.file.path // empty'")]
pub struct Fds {
    #[command(flatten)]
    look: Look,
    /// Only what is of this kind: file, pipe, unix, inet, eventfd, ... (may be given more than once)
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<String>,
}

/// A kind that there is.
fn kind(text: &str) -> Result<String, String> {
    let known = descriptions();
    if known.iter().any(|k| k == text) { Ok(text.to_owned()) } else { Err(format!("there are: {}", known.join(", "))) }
}

impl Fds {
    /// Shows them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let blocks = opened.each(|cx, _, out| process(cx, &self.kind, out));
        self.look.draw(&opened, blocks, out)
    }
}

/// The descriptors of a process that are of these kinds, and those of its threads that have their own; all if there are no kinds.
pub fn process(cx: &Cx<'_>, kinds: &[String], out: &mut Blocks) {
    let Some(table) = cx.ice.get::<Descriptors>(cx.owner) else {
        return out.caption("no descriptors in these files: they are in the .frost");
    };
    out.group(Group::one("descriptors", "", rows(cx, &table.descriptors, kinds)));
    for (id, own) in cx.ice.all::<ThreadDescriptors>().filter(|(_, own)| own.shared_with == 0) {
        let Some(thread) = cx.ice.get::<Thread>(id).filter(|thread| thread.process == cx.owner) else { continue };
        let title = format!("thread {} has descriptors of its own", thread.tid);
        let id = vec![("tid", thread.tid.into())];
        out.group(Group::many("threads", id, title, rows(cx, &own.descriptors, kinds)));
    }
}

fn rows(cx: &Cx<'_>, descriptors: &[Descriptor], kinds: &[String]) -> Blocks {
    let mut rows = Table::new(&[">fd", "flags", "kind", "what"]);
    // The first descriptor of each description, and its kind: what it is is said once.
    let mut first: HashMap<u64, (u32, String)> = HashMap::new();
    for d in descriptors {
        let (kind, what) = match first.get(&d.description) {
            Some((fd, kind)) => {
                (kind.clone(), Cell::new(format!("shared with {fd}"), serde_json::json!({ "shared_with": fd })))
            }
            None => {
                let what = description(d.description, cx);
                let kind = what.value.as_ref().and_then(|v| v.as_object()?.keys().next().cloned()).unwrap_or_default();
                first.insert(d.description, (d.fd, kind.clone()));
                // What it is stands in a column of its own.
                let text = what.text.trim_start_matches(kind.as_str()).trim_start().to_owned();
                (kind, Cell { text, ..what })
            }
        };
        if !kinds.is_empty() && !kinds.contains(&kind) {
            continue;
        }
        rows.row([Cell::number(d.fd.into()), bits(d.flags.into(), &[(1, "cloexec")], " ").into(), kind.into(), what]);
    }
    let mut within = Blocks::default();
    within.table(rows);
    within
}
