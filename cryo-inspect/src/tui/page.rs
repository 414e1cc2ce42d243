//! Blocks as a tree of lines that is walked with the keyboard: groups open and close, everything else is drawn as the terminal always shows it.

use ansi_to_tui::IntoText;
use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::block::{Block, Mark};
use crate::draw::style::paint;
use crate::draw::text;

/// Groups of this depth and deeper are closed at first.
const OPEN: usize = 2;

/// A tree, and where in it one is.
#[derive(Default)]
pub struct Page {
    nodes: Vec<Node>,
    /// The lines at `width` columns, of all groups that are open.
    rows: Vec<Row>,
    width: usize,
    height: usize,
    cursor: usize,
    top: usize,
}

enum Node {
    Group {
        title: String,
        open: bool,
        inside: Vec<Node>,
    },
    /// Neighbours, drawn together.
    Leaves(Vec<Block>),
    /// Lines that are drawn already.
    Drawn(Vec<Line<'static>>),
}

struct Row {
    line: Line<'static>,
    /// The group whose heading it is: its place in the tree.
    group: Option<Vec<usize>>,
    /// Its place in the tree, and which line there it is.
    place: (Vec<usize>, usize),
}

impl Page {
    /// Of blocks.
    pub fn new(blocks: &[Block]) -> Self {
        Self { nodes: nodes(blocks, 0), ..Self::default() }
    }

    /// Of what a command has written for a terminal.
    pub fn written(bytes: &[u8]) -> Self {
        Self { nodes: vec![Node::Drawn(lines(bytes))], ..Self::default() }
    }

    /// The line at the cursor as text, and behind it the one above that it goes on from.
    pub fn line(&self) -> String {
        let Some(row) = self.rows.get(self.cursor) else { return String::new() };
        let text = plain(&row.line);
        let deep = |text: &str| text.len() - text.trim_start().len();
        let within = self.rows[..self.cursor].iter().rev().take_while(|row| row.group.is_none());
        let above = within.map(|row| plain(&row.line)).find(|above| deep(above) < deep(&text));
        format!("{text} {}", above.unwrap_or_default())
    }

    /// Moves, opens and closes. False if the key means nothing here.
    pub fn key(&mut self, key: KeyCode) -> bool {
        let last = self.rows.len().saturating_sub(1);
        let far = self.height.saturating_sub(1).max(1);
        match key {
            KeyCode::Up | KeyCode::Char('k') => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.cursor = (self.cursor + 1).min(last),
            KeyCode::PageUp => self.cursor = self.cursor.saturating_sub(far),
            KeyCode::PageDown | KeyCode::Char(' ') => self.cursor = (self.cursor + far).min(last),
            KeyCode::Home | KeyCode::Char('g') => self.cursor = 0,
            KeyCode::End | KeyCode::Char('G') => self.cursor = last,
            KeyCode::Right | KeyCode::Char('l') => self.open(Some(true)),
            KeyCode::Left | KeyCode::Char('h') => self.close(),
            KeyCode::Char('+') => self.open_all(true),
            KeyCode::Char('-') => self.open_all(false),
            KeyCode::Enter if self.group().is_some() => self.open(None),
            _ => return false,
        }
        true
    }

    fn group(&self) -> Option<Vec<usize>> {
        self.rows.get(self.cursor)?.group.clone()
    }

    /// Opens the group at the cursor, closes it, or turns it.
    fn open(&mut self, to: Option<bool>) {
        if let Some(path) = self.group()
            && let Some(open) = find(&mut self.nodes, &path)
        {
            *open = to.unwrap_or(!*open);
            self.layout();
        }
    }

    /// Closes the group at the cursor, or else goes to the heading above.
    fn close(&mut self) {
        let is_open = self.group().and_then(|path| find(&mut self.nodes, &path).map(|open| *open)).unwrap_or(false);
        if is_open {
            return self.open(Some(false));
        }
        let depth = self.group().map_or(usize::MAX, |path| path.len());
        let above = self.rows[..self.cursor.min(self.rows.len())]
            .iter()
            .rposition(|row| row.group.as_ref().is_some_and(|path| path.len() < depth));
        self.cursor = above.unwrap_or(self.cursor);
    }

    fn open_all(&mut self, to: bool) {
        set_all(&mut self.nodes, to);
        self.cursor = 0;
        self.layout();
    }

    /// Goes to the next line that has this text; groups that have it in them are opened. False if there is none.
    pub fn search(&mut self, text: &str) -> bool {
        let text = text.to_lowercase();
        let has = |row: &Row| plain(&row.line).to_lowercase().contains(&text);
        let next = |rows: &[Row], from: usize| {
            let behind = rows.iter().enumerate().skip(from).find(|(_, row)| has(row));
            behind.or_else(|| rows.iter().enumerate().find(|(_, row)| has(row))).map(|(i, _)| i)
        };
        // The line at the cursor is another one when groups above it have been opened.
        let here = self.rows.get(self.cursor).map(|row| row.place.clone());
        if open_where(&mut self.nodes, &text, self.width) {
            self.layout();
            self.cursor = self.rows.iter().position(|row| Some(&row.place) == here.as_ref()).unwrap_or(self.cursor);
        }
        let found = next(&self.rows, self.cursor + 1);
        self.cursor = found.unwrap_or(self.cursor);
        found.is_some()
    }

    fn layout(&mut self) {
        self.rows.clear();
        let mut path = Vec::new();
        rows(&self.nodes, self.width, &mut path, &mut self.rows);
        self.cursor = self.cursor.min(self.rows.len().saturating_sub(1));
    }

    /// Draws what is to be seen of it.
    pub fn draw(&mut self, frame: &mut Frame<'_>, area: Rect) {
        self.height = usize::from(area.height);
        if self.width != usize::from(area.width) {
            self.width = usize::from(area.width);
            self.layout();
        }
        self.top = self.top.min(self.cursor).max((self.cursor + 1).saturating_sub(self.height.max(1)));
        let shown = self.rows.iter().enumerate().skip(self.top).take(self.height);
        let lines: Vec<Line<'_>> = shown
            .map(|(i, row)| {
                let line = row.line.clone();
                if i == self.cursor { line.patch_style(Style::new().add_modifier(Modifier::REVERSED)) } else { line }
            })
            .collect();
        frame.render_widget(Paragraph::new(lines), area);
    }
}

fn nodes(blocks: &[Block], depth: usize) -> Vec<Node> {
    let mut all = Vec::new();
    for block in blocks {
        match block {
            Block::Group(group) if group.title.text.is_empty() => all.extend(nodes(group.blocks.as_slice(), depth)),
            Block::Group(group) => {
                let mark = if group.title.mark == Mark::None { Mark::Strong } else { group.title.mark };
                let title = paint(mark, &group.title.text.replace('\n', " "));
                let inside = nodes(group.blocks.as_slice(), depth + 1);
                all.push(Node::Group { title, open: depth < OPEN, inside });
            }
            other => match all.last_mut() {
                // Each table has columns of its own all the same.
                Some(Node::Leaves(leaves)) => leaves.push(other.clone()),
                _ => all.push(Node::Leaves(vec![other.clone()])),
            },
        }
    }
    all
}

fn rows(nodes: &[Node], width: usize, path: &mut Vec<usize>, out: &mut Vec<Row>) {
    let indent = path.len() * 2;
    let row = |line: Line<'static>, group: Option<Vec<usize>>, place: (Vec<usize>, usize)| {
        let mut spans = vec![Span::raw(" ".repeat(indent))];
        spans.extend(line.spans);
        Row { line: Line::from(spans), group, place }
    };
    for (i, node) in nodes.iter().enumerate() {
        match node {
            Node::Drawn(lines) => {
                let at = [&path[..], &[i]].concat();
                out.extend(lines.iter().enumerate().map(|(n, line)| row(line.clone(), None, (at.clone(), n))));
            }
            Node::Leaves(blocks) => {
                let mut bytes = Vec::new();
                let _ = text::draw(blocks, Some(width.saturating_sub(indent)), &mut bytes);
                let at = [&path[..], &[i]].concat();
                out.extend(lines(&bytes).into_iter().enumerate().map(|(n, line)| row(line, None, (at.clone(), n))));
            }
            Node::Group { title, open, inside } => {
                path.push(i);
                let sign = if *open { "v " } else { "> " };
                let heading = lines(format!("{sign}{title}").as_bytes()).into_iter().next().unwrap_or_default();
                out.push(row(heading, Some(path.clone()), (path.clone(), 0)));
                if *open {
                    rows(inside, width, path, out);
                }
                path.pop();
            }
        }
    }
}

/// Whether the group at this place is open.
fn find<'n>(nodes: &'n mut [Node], path: &[usize]) -> Option<&'n mut bool> {
    let (first, rest) = path.split_first()?;
    match nodes.get_mut(*first)? {
        Node::Group { open, inside, .. } => {
            if rest.is_empty() {
                Some(open)
            } else {
                find(inside, rest)
            }
        }
        Node::Leaves(_) | Node::Drawn(_) => None,
    }
}

fn set_all(nodes: &mut [Node], to: bool) {
    for node in nodes {
        if let Node::Group { open, inside, .. } = node {
            *open = to;
            set_all(inside, to);
        }
    }
}

/// Opens the groups that have this text in them. Did it open one?
fn open_where(nodes: &mut [Node], text: &str, width: usize) -> bool {
    let mut opened = false;
    for node in nodes {
        if let Node::Group { open, inside, .. } = node {
            opened |= open_where(inside, text, width);
            if !*open && inside.iter().any(|node| has(node, text, width)) {
                *open = true;
                opened = true;
            }
        }
    }
    opened
}

/// Does a node say this, in lower case?
fn has(node: &Node, text: &str, width: usize) -> bool {
    let said = |line: &Line<'_>| plain(line).to_lowercase().contains(text);
    match node {
        Node::Drawn(lines) => lines.iter().any(said),
        Node::Leaves(blocks) => {
            let mut bytes = Vec::new();
            let _ = text::draw(blocks, Some(width), &mut bytes);
            lines(&bytes).iter().any(said)
        }
        Node::Group { title, inside, .. } => {
            lines(title.as_bytes()).iter().any(said) || inside.iter().any(|node| has(node, text, width))
        }
    }
}

fn plain(line: &Line<'_>) -> String {
    line.spans.iter().map(|span| span.content.as_ref()).collect()
}

/// What was written for a terminal, as lines. Colours are all that is left of escape sequences, and nothing else in it steers the terminal.
pub fn lines(bytes: &[u8]) -> Vec<Line<'static>> {
    // A tab has a width here, and what is not UTF-8 is shown so.
    let text = String::from_utf8_lossy(bytes).replace('\t', "    ");
    let mut kept = String::with_capacity(text.len());
    for (i, part) in text.split('\u{1b}').enumerate() {
        // `ESC [ 1;31 m` is a colour.
        let numbers = part.strip_prefix('[').and_then(|rest| rest.split_once('m')).map(|(numbers, _)| numbers);
        if i > 0 && numbers.is_some_and(|n| n.chars().all(|c| c.is_ascii_digit() || c == ';')) {
            kept.push('\u{1b}');
        }
        kept.extend(part.chars().filter(|c| *c == '\n' || !c.is_control()));
    }
    kept.into_text().map_or_else(|_| vec![Line::from("(cannot be shown)")], |text| text.lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Blocks, Group};

    #[test]
    fn a_search_opens_what_it_finds() {
        let mut deep = Blocks::default();
        deep.caption("needle below");
        let mut within = Blocks::default();
        within.group(Group::one("c", "closed", deep));
        let mut other = Blocks::default();
        other.caption("hay");
        within.group(Group::one("d", "stays closed", other));
        within.caption("needle above");
        let mut middle = Blocks::default();
        middle.group(Group::one("b", "open", within));
        let mut all = Blocks::default();
        all.group(Group::one("a", "open", middle));
        let mut page = Page::new(&all.into_vec());
        page.width = 80;
        page.layout();
        assert!(page.search("Needle") && page.line().contains("needle below"), "{}", page.line());
        assert!(page.search("needle") && page.line().contains("needle above"), "{}", page.line());
        assert!(page.search("needle") && page.line().contains("needle below"), "{}", page.line());
        assert!(!page.rows.iter().any(|row| plain(&row.line).contains("hay")));
        assert!(!page.search("nowhere"));
    }
}
