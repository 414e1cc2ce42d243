//! For people: headings, columns that stand under each other, and nothing wider than the terminal.

use std::io::{self, Write};

use pretty_hex::{HexConfig, config_hex};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::paint;
use crate::block::{Block, Bytes, Cell, Group, Mark, Table};
use crate::text::wrap;

/// The least that a last column is squeezed to.
const NARROWEST: usize = 20;

/// Draws blocks. `width` is that of the terminal; none if there is no terminal, and lines are as long as they are.
pub fn draw(blocks: &[Block], width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    Drawer { width, indent: 0 }.all(blocks, out)
}

/// Columns of the terminal that standard output is; none if it is none.
pub fn terminal_width() -> Option<usize> {
    if !io::IsTerminal::is_terminal(&io::stdout()) {
        return None;
    }
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

struct Drawer {
    width: Option<usize>,
    indent: usize,
}

impl Drawer {
    fn all(&self, blocks: &[Block], out: &mut dyn Write) -> io::Result<()> {
        blocks.iter().try_for_each(|block| self.block(block, out))
    }

    fn block(&self, block: &Block, out: &mut dyn Write) -> io::Result<()> {
        match block {
            Block::Line(line) if self.fits(&line.text()) => {
                let painted: String = line.parts.iter().map(|(_, cell)| paint(cell.mark, &cell.text)).collect();
                if painted.is_empty() { writeln!(out) } else { writeln!(out, "{:1$}{painted}", "", self.indent) }
            }
            Block::Line(line) => self.words(&line.text(), line.mark(), out),
            Block::Fields(fields) => {
                let mut table = Table::new(&["", ""]);
                fields.0.iter().for_each(|(label, value)| table.row([label.as_str().into(), value.clone()]));
                self.table(&table, out)
            }
            Block::Table(table) => self.table(table, out),
            Block::Bytes(bytes) => self.bytes(bytes, out),
            Block::Group(group) => self.group(group, out),
        }
    }

    /// Does a line fit as it is?
    fn fits(&self, text: &str) -> bool {
        !text.contains('\n') && self.width.is_none_or(|width| text.width() + self.indent <= width)
    }

    /// A heading, and what is under it two columns further to the right; those at the left stand apart.
    fn group(&self, group: &Group, out: &mut dyn Write) -> io::Result<()> {
        if group.title.text.is_empty() {
            return self.all(group.blocks.as_slice(), out);
        }
        let mark = if group.title.mark == Mark::None { Mark::Strong } else { group.title.mark };
        self.words(&group.title.text, mark, out)?;
        Self { width: self.width, indent: self.indent + 2 }.all(group.blocks.as_slice(), out)
    }

    fn words(&self, text: &str, mark: Mark, out: &mut dyn Write) -> io::Result<()> {
        if text.is_empty() {
            return writeln!(out);
        }
        let room = self.width.map(|w| w.saturating_sub(self.indent).max(NARROWEST));
        for line in text.split('\n') {
            let broken = fold(line, room);
            for part in broken.split('\n') {
                writeln!(out, "{:1$}{2}", "", self.indent, paint(mark, part))?;
            }
        }
        Ok(())
    }

    fn table(&self, table: &Table, out: &mut dyn Write) -> io::Result<()> {
        let mut widths: Vec<usize> = table.heads.iter().map(|(h, _)| h.width()).collect();
        for row in &table.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.split('\n').map(UnicodeWidthStr::width).max().unwrap_or(0));
            }
        }
        let before = widths.iter().rev().skip(1).sum::<usize>() + 2 * widths.len().saturating_sub(1) + self.indent;
        let headed = table.heads.iter().any(|(h, _)| !h.is_empty());
        let least = before + widths.last().copied().unwrap_or(0).min(NARROWEST);
        if headed && self.width.is_some_and(|width| least > width) {
            return table.rows.iter().try_for_each(|row| self.record(table, row, out));
        }
        let last = self.width.map(|w| w.saturating_sub(before).max(NARROWEST));
        if headed {
            let heads: Vec<Cell> = table.heads.iter().map(|(h, _)| Cell::from(*h).marked(Mark::Faint)).collect();
            self.row(table, &heads, &widths, last, out)?;
        }
        table.rows.iter().try_for_each(|row| self.row(table, row, &widths, last, out))
    }

    /// A row of a table that is wider than the terminal: its cells one behind another, each with its head.
    fn record(&self, table: &Table, cells: &[Cell], out: &mut dyn Write) -> io::Result<()> {
        let mut parts = Vec::new();
        for (i, (cell, (head, _))) in cells.iter().zip(&table.heads).enumerate() {
            let text = cell.text.replace('\n', " ");
            match text.trim() {
                "" | "-" => {}
                text if i == 0 || head.is_empty() => parts.push(text.to_owned()),
                text => parts.push(format!("{head} {text}")),
            }
        }
        let mark = cells.iter().map(|cell| cell.mark).find(|mark| *mark != Mark::None).unwrap_or_default();
        // What stands further to the right in its column does so here.
        let deep = cells.first().map_or(0, |c| c.text.width() - c.text.trim_start().width());
        let indent = self.indent + deep;
        let room = self.width.map(|width| width.saturating_sub(indent + 2).max(NARROWEST));
        for (i, line) in fold(&parts.join(", "), room).split('\n').enumerate() {
            writeln!(out, "{:1$}{2}", "", indent + if i == 0 { 0 } else { 2 }, paint(mark, line))?;
        }
        Ok(())
    }

    fn row(
        &self,
        table: &Table,
        cells: &[Cell],
        widths: &[usize],
        last: Option<usize>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut line = " ".repeat(self.indent);
        let mut column = self.indent;
        // Spaces are written only before something.
        let mut fill = 0;
        for (i, ((cell, (_, right)), width)) in cells.iter().zip(&table.heads).zip(widths).enumerate() {
            if i > 0 {
                fill += 2;
                column += 2;
            }
            let whole = if i + 1 == table.heads.len() { fold_lines(&cell.text, last) } else { cell.text.clone() };
            let room = width.saturating_sub(whole.width());
            let goes_on = " ".repeat(column);
            for (n, part) in whole.split('\n').enumerate() {
                if n > 0 {
                    line.push('\n');
                    line.push_str(&goes_on);
                } else if !part.is_empty() {
                    line.push_str(&" ".repeat(fill + if *right { room } else { 0 }));
                    fill = 0;
                }
                line.push_str(&paint(cell.mark, part));
            }
            fill += if *right && !whole.is_empty() { 0 } else { room };
            column += width;
        }
        writeln!(out, "{}", line.trim_end_matches(' '))
    }

    fn bytes(&self, bytes: &Bytes, out: &mut dyn Write) -> io::Result<()> {
        // The library adds to it; no program has memory at the very end of all addresses.
        let display_offset = (bytes.address as usize).min(usize::MAX - bytes.bytes.len());
        let config = HexConfig {
            title: false,
            ascii: true,
            width: 16,
            group: 8,
            chunk: 1,
            max_bytes: usize::MAX,
            display_offset,
        };
        for line in config_hex(&bytes.bytes, config).lines() {
            self.words(line, Mark::None, out)?;
        }
        match (bytes.bytes.len(), bytes.more) {
            (0, 0) => self.words("(empty)", Mark::None, out),
            (_, 0) => Ok(()),
            (_, more) => self.words(&format!("... ({more} bytes more)"), Mark::None, out),
        }
    }
}

fn fold_lines(text: &str, room: Option<usize>) -> String {
    text.split('\n').map(|line| fold(line, room)).collect::<Vec<_>>().join("\n")
}

/// A line, broken where it does not fit: at spaces, and within words that do not fit by themselves.
fn fold(line: &str, room: Option<usize>) -> String {
    let Some(room) = room.filter(|room| line.width() > *room) else { return line.to_owned() };
    let mut words = Vec::new();
    for word in line.split(' ') {
        let mut rest = word;
        while rest.width() > room {
            let mut taken = 0;
            let end = rest.char_indices().find(|(_, c)| {
                taken += c.width().unwrap_or(0);
                taken > room
            });
            let end = end.map_or(rest.len(), |(at, _)| at).max(1);
            let (head, tail) = rest.split_at(rest.ceil_char_boundary(end));
            words.push(head);
            rest = tail;
        }
        words.push(rest);
    }
    wrap(words, room)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::block::Blocks;

    fn drawn(blocks: Blocks, width: Option<usize>) -> String {
        let mut out = Vec::new();
        draw(&blocks.into_vec(), width, &mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn columns_stand_under_each_other_whatever_is_in_them() {
        let mut table = Table::new(&["name", ">n", "what"]);
        table.row(["日本語", "1", "a"]);
        table.row(["x", "100", "b\nc"]);
        let mut out = Blocks::default();
        out.table(table);
        assert_eq!(drawn(out, None), "name      n  what\n日本語    1  a\nx       100  b\n             c\n");
    }

    #[test]
    fn rows_that_are_wider_than_the_terminal_go_on_below() {
        let mut table = Table::new(&["range", ">size", "perm", "what"]);
        table.row(["000000400000-000000401000", "4 KiB", "-", "a long name of a file"]);
        let mut out = Blocks::default();
        out.table(table);
        assert_eq!(drawn(out, Some(40)), "000000400000-000000401000, size 4 KiB,\n  what a long name of a file\n");
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        let mut table = Table::new(&["n", "what"]);
        table.row(["1", "one two three four five six 日本語日本語日本語日本語日本語"]);
        let mut out = Blocks::default();
        writeln!(out, "{}", "word ".repeat(20).trim_end());
        out.table(table);
        let text = drawn(out, Some(30));
        assert!(text.lines().all(|line| line.width() <= 30), "{text}");
        assert!(text.contains("\n   "), "{text}");
    }
}
