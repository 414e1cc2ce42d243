//! Columns that stand under each other.

use std::io::{self, Write};

use crate::style::{DIM, paint};

/// Rows of cells; the last column takes what it needs.
pub struct Table {
    heads: Vec<(&'static str, bool)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these column heads; one that begins with `>` is of a column that is aligned to the right.
    pub fn new(heads: &[&'static str]) -> Self {
        Self {
            heads: heads.iter().map(|h| h.strip_prefix('>').map_or((*h, false), |h| (h, true))).collect(),
            rows: Vec::new(),
        }
    }

    /// One more row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Writes it. A line break in a last cell goes on in the same column.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut widths: Vec<usize> = self.heads.iter().map(|(h, _)| h.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        if self.heads.iter().any(|(h, _)| !h.is_empty()) {
            let heads: Vec<String> = self.heads.iter().map(|(h, _)| (*h).to_owned()).collect();
            writeln!(out, "{}", paint(DIM, &self.line(&heads, &widths)))?;
        }
        self.rows.iter().try_for_each(|row| writeln!(out, "{}", self.line(row, &widths)))
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        let columns = self.heads.iter().zip(widths).zip(cells);
        for (i, (((_, right), width), cell)) in columns.enumerate() {
            if i > 0 {
                line.push_str("  ");
            }
            let fill = " ".repeat(width.saturating_sub(cell.chars().count()));
            if i + 1 == self.heads.len() && cell.contains('\n') {
                let indent = format!("\n{}", " ".repeat(line.chars().count()));
                line.push_str(&cell.replace('\n', &indent));
            } else if *right {
                line.extend([fill.as_str(), cell]);
            } else {
                line.extend([cell, fill.as_str()]);
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Words, broken into lines of at most `width` characters.
pub fn wrap<S: AsRef<str>>(words: impl IntoIterator<Item = S>, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in words {
        let word = word.as_ref();
        let len = word.chars().count();
        if column > 0 && column + 1 + len > width {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += len;
    }
    out
}
