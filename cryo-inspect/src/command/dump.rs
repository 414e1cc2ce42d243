//! `dump`: all of it.

use std::collections::BTreeSet;
use std::io::Write;

use clap::Args;
use cryo_format::Kind;
use cryo_format::section::SECTIONS;

use super::{Format, Look, Opened, piped};
use crate::ice::Ice;
use crate::people::People;
use crate::{Outcome, dump, json};

/// Show what is in an image
///
/// Of NAME or NAME.freeze the other two files of the set are shown too, where they are there. JSON is every chunk with every field (spec/json.md, `cryo-inspect
/// schema dump`); JSON lines and CSV have a line for each chunk.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect dump 4242.freeze | less
  cryo-inspect dump 4242.freeze --pid 4243 --tid 4244
  cryo-inspect dump 4242.freeze --kind SIGA --kind PTIM
  cryo-inspect dump 4242.freeze --format jsonl | jq 'select(.kind == \"VMAS\").payload.vmas[]'
  cryo-freeze 4242 -o - --leave-running | cryo-inspect dump -")]
pub struct Dump {
    #[command(flatten)]
    look: Look,
    /// Only sections of this kind: PROC, FDTB, VMAS, ... as spec/ names them (may be given more than once)
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<Kind>,
}

/// A kind that there is.
fn kind(text: &str) -> Result<Kind, String> {
    let all = || SECTIONS.iter().map(|info| info.kind);
    all().find(|kind| kind.to_string().eq_ignore_ascii_case(text)).ok_or_else(|| {
        let known: BTreeSet<String> = all().map(|kind| kind.to_string()).collect();
        format!("there are: {}", known.into_iter().collect::<Vec<_>>().join(", "))
    })
}

impl Dump {
    /// Shows it.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let Look { image, format, pid, tid } = &self.look;
        if *format != Format::Table {
            let mut files = match piped(image)? {
                Some(input) => json::read_pipe(input)?,
                None => json::read(image)?,
            };
            json::choose(&mut files, pid, tid)?;
            if !self.kind.is_empty() {
                for file in &mut files {
                    file.chunks.retain(|chunk| self.kind.contains(&chunk.kind));
                }
            }
            json::draw(&files, *format, out)?;
            return Ok(Outcome::Good);
        }
        let mut ice = match piped(image)? {
            Some(input) => Ice::read(input)?,
            None => Ice::open(image)?,
        };
        let people = People::chosen(&ice, pid, tid)?;
        ice.look_at(people.processes.keys().copied());
        let opened = Opened { ice, people };
        let blocks = match &self.kind[..] {
            [] => dump::chosen(&opened.ice, &opened.people),
            kinds => dump::of_kinds(&opened.ice, &opened.people, kinds),
        };
        self.look.draw(&opened, blocks, out)
    }
}
