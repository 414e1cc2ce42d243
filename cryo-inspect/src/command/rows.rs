//! Rows that are written as they are found: of what may be more than memory holds.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::Format;
use crate::block::Cell;
use crate::draw::json::name;
use crate::draw::style::paint;

/// Writes rows in a format, one by one.
pub struct Rows<'a> {
    heads: &'static [&'static str],
    format: Format,
    out: &'a mut dyn Write,
    /// How many were written.
    pub written: u64,
}

impl<'a> Rows<'a> {
    /// With these heads. In a table there are none: what is written cannot know how wide the columns will be.
    pub fn new(heads: &'static [&'static str], format: Format, out: &'a mut dyn Write) -> anyhow::Result<Self> {
        if format == Format::Csv {
            csv::Writer::from_writer(&mut *out).write_record(heads.iter().map(|h| name(h)))?;
        }
        Ok(Self { heads, format, out, written: 0 })
    }

    /// One more.
    pub fn row<const N: usize>(&mut self, cells: &[Cell; N]) -> anyhow::Result<()> {
        match self.format {
            Format::Table => {
                let parts: Vec<String> = cells.iter().map(|c| paint(c.mark, &c.text)).collect();
                writeln!(self.out, "{}", parts.join("  ").trim_end())?;
            }
            Format::Csv => {
                let text = |c: &Cell| crate::draw::rows::csv_cell(Some(&c.json()));
                csv::Writer::from_writer(&mut *self.out).write_record(cells.iter().map(text))?;
            }
            Format::Json | Format::Jsonl => {
                let row: Map<String, Value> = self.heads.iter().zip(cells).map(|(h, c)| (name(h), c.json())).collect();
                if self.format == Format::Json {
                    self.out.write_all(if self.written == 0 { b"[\n  " } else { b",\n  " })?;
                }
                crate::json::write(&row, self.out)?;
                if self.format == Format::Jsonl {
                    writeln!(self.out)?;
                }
            }
        }
        self.written += 1;
        Ok(())
    }

    /// Ends what was begun.
    pub fn end(self) -> io::Result<()> {
        if self.format == Format::Json {
            self.out.write_all(if self.written == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        self.out.flush()
    }
}
