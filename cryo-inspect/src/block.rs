//! What printers and commands make: a small tree of blocks. The terminal, JSON, CSV, HTML and comparisons are drawn from it ([`crate::draw`]),
//! so that whoever makes blocks gets all of these.
//!
//! A value has two faces: the words for people, and, where these say it in another way (`4 KiB`, `0x7f00`, `SIGINT`), what a program wants to read.

use std::borrow::Cow;
use std::fmt::{self, Write};

use serde_json::Value;

/// A value, as people and as programs read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// For people. Fit for a terminal already; a line break goes on in the same column.
    pub text: String,
    /// For programs; none if it is the same text.
    pub value: Option<Value>,
    /// What is to be noticed in it.
    pub mark: Mark,
}

/// What is to be noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// Nothing.
    #[default]
    None,
    /// A name in the foreground: a heading, or an answer.
    Strong,
    /// It is there only for completeness.
    Faint,
    /// Somebody should look at it.
    Warn,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

impl Cell {
    /// Words for people, and what they stand for.
    pub fn new(text: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { text: text.into(), value: Some(value.into()), mark: Mark::None }
    }

    /// A number, as it is.
    pub fn number(n: u64) -> Self {
        Self::new(n.to_string(), n)
    }

    /// A number; 0 is `-` to people.
    pub fn count(n: u64) -> Self {
        if n == 0 { Self::new("-", 0) } else { Self::number(n) }
    }

    /// It is not known: `-`, null.
    pub fn unknown() -> Self {
        Self::new("-", Value::Null)
    }

    /// A number of bytes: `4 KiB`, 4096.
    pub fn size(bytes: u64) -> Self {
        Self::new(crate::text::size(bytes), bytes)
    }

    /// A span of time: `1.500 s`, 1500000000.
    pub fn duration(ns: u64) -> Self {
        Self::new(crate::text::duration(ns), ns)
    }

    /// An address or a bit pattern: these words for people, `0x7f00` for programs, whose numbers do not go that far.
    pub fn hex(text: impl Into<String>, value: u64) -> Self {
        Self::new(text, format!("{value:#x}"))
    }

    /// With a mark.
    #[must_use]
    pub fn marked(mut self, mark: Mark) -> Self {
        self.mark = mark;
        self
    }

    /// For programs.
    pub fn json(&self) -> Value {
        self.value.clone().unwrap_or_else(|| Value::String(self.text.clone()))
    }
}

impl<S: Into<String>> From<S> for Cell {
    fn from(text: S) -> Self {
        Self { text: text.into(), value: None, mark: Mark::None }
    }
}

/// One block.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A line of words.
    Line(Line),
    /// Labels with values.
    Fields(Fields),
    /// Rows.
    Table(Table),
    /// Memory, or what this program does not understand.
    Bytes(Bytes),
    /// Blocks under a heading.
    Group(Group),
}

/// A line: words, and values with names between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// Its parts; words have no name.
    pub parts: Vec<(Option<Cow<'static, str>>, Cell)>,
    /// It says in words what the other blocks say to programs already, or that there is nothing.
    pub caption: bool,
    /// It is one of a list that programs call by this name.
    pub list: Option<&'static str>,
}

impl Line {
    /// All of it as people read it.
    pub fn text(&self) -> String {
        self.parts.iter().map(|(_, cell)| cell.text.as_str()).collect()
    }

    /// The mark that its parts have.
    pub fn mark(&self) -> Mark {
        self.parts.iter().map(|(_, cell)| cell.mark).find(|mark| *mark != Mark::None).unwrap_or_default()
    }
}

/// Lines of a label and a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(pub Vec<(String, Cell)>);

impl Fields {
    /// One more line.
    pub fn add(&mut self, label: &str, value: impl Into<Cell>) {
        self.0.push((label.to_owned(), value.into()));
    }

    /// One more line, unless there is nothing to say.
    pub fn add_if<C: Into<Cell>>(&mut self, says: bool, label: &str, value: impl FnOnce() -> C) {
        if says {
            self.add(label, value());
        }
    }
}

/// Rows of cells under heads.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Names of the columns, and whether they are aligned to the right.
    pub heads: Vec<(&'static str, bool)>,
    /// The rows, each with as many cells as there are heads.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// With these heads; one that begins with `>` is of a column that is aligned to the right.
    pub fn new(heads: &[&'static str]) -> Self {
        Self {
            heads: heads.iter().map(|h| h.strip_prefix('>').map_or((*h, false), |h| (h, true))).collect(),
            rows: Vec::new(),
        }
    }

    /// One more row.
    pub fn row<const N: usize, C: Into<Cell>>(&mut self, cells: [C; N]) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

/// Bytes with the address of the first of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// Where the first one stands.
    pub address: u64,
    /// They themselves.
    pub bytes: Vec<u8>,
    /// So many more were left out.
    pub more: u64,
}

/// Blocks under a heading.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What programs call it.
    pub key: String,
    /// There may be several of that key beside each other: programs get a list.
    pub many: bool,
    /// What people call it.
    pub title: Cell,
    /// Whose it is, as programs tell it in every row: `("pid", 4242)`.
    pub id: Vec<(&'static str, Value)>,
    /// What stands in it.
    pub blocks: Blocks,
}

impl Group {
    /// The only one of its key.
    pub fn one(key: &str, title: impl Into<Cell>, blocks: Blocks) -> Self {
        Self { key: key.to_owned(), many: false, title: title.into(), id: Vec::new(), blocks }
    }

    /// One of several.
    pub fn many(key: &str, id: Vec<(&'static str, Value)>, title: impl Into<Cell>, blocks: Blocks) -> Self {
        Self { key: key.to_owned(), many: true, title: title.into(), id, blocks }
    }
}

/// Blocks, one below another.
///
/// `writeln!(blocks, ...)` adds a line of words. What a printer says of something in one line it says with [`value`](Self::value) where a
/// program would want it: `write!(out, "at "); out.value("offset", Cell::number(4)); writeln!(out, " of 10 bytes")`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blocks {
    blocks: Vec<Block>,
    open: Line,
}

impl Blocks {
    /// Words go on in the line that is open; `\n` ends it. (So `write!` and `writeln!` work on blocks.)
    pub fn write_fmt(&mut self, words: fmt::Arguments<'_>) {
        let mut text = String::new();
        let _ = text.write_fmt(words);
        let mut lines = text.split('\n');
        self.word(lines.next().unwrap_or_default());
        for line in lines {
            self.end_line();
            self.word(line);
        }
    }

    fn word(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.open.parts.last_mut() {
            Some((None, cell)) if cell.mark == Mark::None => cell.text.push_str(text),
            _ => self.open.parts.push((None, text.into())),
        }
    }

    /// A value in the line that is open, with its name for programs.
    pub fn value(&mut self, name: impl Into<Cow<'static, str>>, cell: impl Into<Cell>) {
        self.open.parts.push((Some(name.into()), cell.into()));
    }

    /// The line that is open is one of a list of this name: there may be any number of such lines.
    pub fn list(&mut self, name: &'static str) {
        self.open.list = Some(name);
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.open);
        self.blocks.push(Block::Line(line));
    }

    /// One more block.
    pub fn push(&mut self, block: Block) {
        if !self.open.parts.is_empty() {
            self.end_line();
        }
        self.blocks.push(block);
    }

    /// Rows.
    pub fn table(&mut self, table: Table) {
        self.push(Block::Table(table));
    }

    /// Labels with values.
    pub fn fields(&mut self, fields: Fields) {
        self.push(Block::Fields(fields));
    }

    /// Blocks under a heading.
    pub fn group(&mut self, group: Group) {
        self.push(Block::Group(group));
    }

    /// Bytes.
    pub fn bytes(&mut self, address: u64, bytes: &[u8], most: usize) {
        let (shown, rest) = bytes.split_at(bytes.len().min(most));
        self.push(Block::Bytes(Bytes { address, bytes: shown.to_vec(), more: rest.len() as u64 }));
    }

    /// A line for people, which tells programs nothing that they do not see.
    pub fn caption(&mut self, text: impl Into<Cell>) {
        self.push(Block::Line(Line { parts: vec![(None, text.into())], caption: true, list: None }));
    }

    /// A line that somebody should look at.
    pub fn warn(&mut self, text: impl Into<String>) {
        let text = Cell::from(text).marked(Mark::Warn);
        self.push(Block::Line(Line { parts: vec![(None, text)], caption: false, list: Some("warnings") }));
    }

    /// All that other has, behind what is here.
    pub fn append(&mut self, other: Self) {
        other.into_vec().into_iter().for_each(|block| self.push(block));
    }

    /// The blocks.
    pub fn into_vec(mut self) -> Vec<Block> {
        if !self.open.parts.is_empty() {
            self.end_line();
        }
        self.blocks
    }

    /// The blocks, but for a line that is still open.
    pub fn as_slice(&self) -> &[Block] {
        &self.blocks
    }

    /// Is there nothing?
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.open.parts.is_empty()
    }
}

impl<const N: usize> From<[Table; N]> for Blocks {
    fn from(tables: [Table; N]) -> Self {
        let mut blocks = Self::default();
        for table in tables {
            blocks.table(table);
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_values_make_lines() {
        let mut out = Blocks::default();
        write!(out, "at ");
        out.value("offset", Cell::number(4));
        writeln!(out, " of 10\nand more");
        let lines = out.into_vec();
        let text: Vec<String> =
            lines.iter().map(|b| if let Block::Line(l) = b { l.text() } else { String::new() }).collect();
        assert_eq!(text, ["at 4 of 10", "and more"]);
    }
}
