//! `dump`: all of it.

use std::io::Write;

use clap::Args;

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
  cryo-inspect dump 4242.freeze --format jsonl | jq 'select(.kind == \"VMAS\").payload.vmas[]'
  cryo-freeze 4242 -o - --leave-running | cryo-inspect dump -")]
pub struct Dump {
    #[command(flatten)]
    look: Look,
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
        self.look.draw(&opened, dump::chosen(&opened.ice, &opened.people), out)
    }
}
