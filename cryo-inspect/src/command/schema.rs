//! `schema`: what the JSON of a command is made of.

use std::io::Write;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::{json, schema};

/// Print the JSON Schema of what a command prints with --format json; of all commands if none is given
///
/// A schema says what is there in this version; a later one may add members. Numbers may have 64 bits; addresses are strings (`0x7ffd4129d300`).
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect schema threads
  cryo-inspect schema dump > dump.schema.json
  cryo-inspect threads 4242.freeze --format json > threads.json && check-jsonschema --schemafile <(cryo-inspect schema threads) threads.json")]
pub struct Schema {
    /// Whose output
    #[arg(value_name = "COMMAND", value_parser = PossibleValuesParser::new(schema::ALL.map(|(name, _)| name)))]
    command: Option<String>,
}

impl Schema {
    /// Prints it.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let one = self.command.as_deref().and_then(schema::of);
        Ok(json::write_pretty(&one.unwrap_or_else(schema::all), out)?)
    }
}
