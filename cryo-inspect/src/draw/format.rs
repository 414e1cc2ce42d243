//! The formats in which what is shown is drawn.

use clap::ValueEnum;

/// How it is to be drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    #[value(alias = "text")]
    Table,
    /// One JSON value
    Json,
    /// One JSON object on a line for each row
    Jsonl,
    /// Comma-separated values under a line of heads
    Csv,
}
