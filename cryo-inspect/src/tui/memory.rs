//! Memory of a process: bytes, and what those at the cursor are in every type. Only what is shown is read.

use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block as Border, Borders, Paragraph};

use super::page::lines;
use crate::block::Block;
use crate::command::hexdump;
use crate::draw::text;
use crate::modules::Modules;
use crate::print::Cx;
use crate::print::vmas::{perm, what};
use crate::space::Space;
use crate::target;

/// From this width on the panel stands beside the bytes, and below it under them.
const WIDE: u16 = 120;
/// Columns, or lines, of the panel.
const PANEL: u16 = 42;
const PANEL_LINES: u16 = 10;

/// The memory, and where in it one is.
pub struct Memory<'a> {
    /// The thread whose registers are meant by `$rsp`.
    pub cx: Cx<'a>,
    /// The memory.
    pub space: Space<'a>,
    /// The files in it.
    pub modules: Modules,
    cursor: u64,
    top: u64,
    /// Where one came from.
    before: Vec<u64>,
    /// Bytes of a line.
    columns: u64,
    rows: usize,
}

impl<'a> Memory<'a> {
    /// Of the process that this thread is of; it begins at its stack, or at the first byte that there is.
    pub fn of(cx: Cx<'a>) -> anyhow::Result<Self> {
        let mut space = Space::of(cx.ice, cx.process.unwrap_or(cx.owner))?;
        let modules = Modules::of(&cx, &mut space)?;
        let first = space.runs().first().map_or(0, |r| r.start);
        let stack = crate::command::threads::pointers(&cx).map(|(_, sp)| sp);
        let cursor = stack.filter(|sp| space.run(*sp).is_some()).unwrap_or(first);
        Ok(Self { cx, space, modules, cursor, top: cursor, before: Vec::new(), columns: 16, rows: 1 })
    }

    /// Goes to an address, a symbol, a register or a segment.
    pub fn go(&mut self, place: &str) -> anyhow::Result<()> {
        let at = target::find(place, &self.cx, &self.space, &self.modules)?.start;
        anyhow::ensure!(self.space.run(at).is_some(), "{place} is {at:#x}, and nothing is mapped there");
        self.jump(at);
        Ok(())
    }

    fn jump(&mut self, at: u64) {
        self.before.push(self.cursor);
        self.cursor = at;
        self.top = self.row(at);
    }

    fn row(&self, at: u64) -> u64 {
        at - at % self.columns
    }

    /// The line below: the next, or the first of the next segment.
    fn below(&self, row: u64) -> Option<u64> {
        let next = row.checked_add(self.columns)?;
        let run = self.space.runs().get(self.space.runs().partition_point(|r| r.end <= next))?;
        Some(if run.start < next.saturating_add(self.columns) { next } else { self.row(run.start) })
    }

    fn above(&self, row: u64) -> Option<u64> {
        let last = row.checked_sub(1)?;
        let run = self.space.runs()[..self.space.runs().partition_point(|r| r.start <= last)].last()?;
        Some(self.row(last.min(run.end - 1)))
    }

    fn rows_on(&self, row: u64, n: usize, down: bool) -> u64 {
        let step = |row: &u64| if down { self.below(*row) } else { self.above(*row) };
        std::iter::successors(Some(row), step).take(n + 1).last().unwrap_or(row)
    }

    /// Moves. False if the key means nothing here.
    pub fn key(&mut self, key: KeyCode) -> bool {
        let (row, column) = (self.row(self.cursor), self.cursor % self.columns);
        let page = self.rows.saturating_sub(1).max(1);
        let to = |row: u64| row.saturating_add(column);
        self.cursor = match key {
            KeyCode::Left | KeyCode::Char('h') if column > 0 => self.cursor - 1,
            KeyCode::Left | KeyCode::Char('h') => self.above(row).map_or(row, |r| r + self.columns - 1),
            KeyCode::Right | KeyCode::Char('l') if column + 1 < self.columns => self.cursor.saturating_add(1),
            KeyCode::Right | KeyCode::Char('l') => self.below(row).unwrap_or(self.cursor),
            KeyCode::Up | KeyCode::Char('k') => to(self.rows_on(row, 1, false)),
            KeyCode::Down | KeyCode::Char('j') => to(self.rows_on(row, 1, true)),
            KeyCode::PageUp => to(self.rows_on(row, page, false)),
            KeyCode::PageDown | KeyCode::Char(' ') => to(self.rows_on(row, page, true)),
            KeyCode::Home | KeyCode::Char('g') => self.space.run(self.cursor).map_or(self.cursor, |r| r.start),
            KeyCode::End | KeyCode::Char('G') => self.space.run(self.cursor).map_or(self.cursor, |r| r.end - 1),
            KeyCode::Enter => {
                let there = self.space.word(self.cursor).filter(|to| self.space.run(*to).is_some());
                if let Some(to) = there {
                    self.jump(to);
                }
                return there.is_some();
            }
            KeyCode::Backspace => self.before.pop().unwrap_or(self.cursor),
            _ => return false,
        };
        true
    }

    /// Draws it.
    pub fn draw(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let [bytes, panel] = if area.width >= WIDE {
            Layout::horizontal([Constraint::Min(0), Constraint::Length(PANEL)]).areas(area)
        } else {
            Layout::vertical([Constraint::Min(4), Constraint::Length(PANEL_LINES)]).areas(area)
        };
        // 12 digits of address, two spaces, and for each byte its digits, a space, and its character.
        self.columns = if bytes.width >= 12 + 2 + 16 * 4 + 2 { 16 } else { 8 };
        self.rows = usize::from(bytes.height);
        self.top = self.row(self.top);
        let here = self.row(self.cursor);
        let seen = std::iter::successors(Some(self.top), |r| self.below(*r)).take(self.rows.max(1)).any(|r| r == here);
        if !seen {
            self.top = if here < self.top { here } else { self.rows_on(here, self.rows.saturating_sub(1), false) };
        }
        let rows: Vec<u64> = std::iter::successors(Some(self.top), |r| self.below(*r)).take(self.rows).collect();
        let lines: Vec<Line<'_>> = rows.into_iter().map(|row| self.line(row)).collect();
        frame.render_widget(Paragraph::new(lines), bytes);
        let beside = area.width >= WIDE;
        let border = Border::new().borders(if beside { Borders::LEFT } else { Borders::TOP });
        let inside = border.inner(panel);
        frame.render_widget(border, panel);
        self.panel(frame, inside);
    }

    fn line(&mut self, row: u64) -> Line<'static> {
        let mut hex = vec![Span::styled(format!("{row:012x}  "), Style::new().add_modifier(Modifier::DIM))];
        let mut text = vec![Span::raw(" ")];
        let mut all = vec![0; self.columns as usize];
        let whole = self.space.read(row, &mut all).unwrap_or(0) == all.len();
        for (i, at) in (row..=row.saturating_add(self.columns - 1)).enumerate() {
            // At the ends of segments each byte is asked for by itself.
            let mut one = [0];
            let byte = if whole {
                all.get(i).copied()
            } else {
                (self.space.read(at, &mut one).unwrap_or(0) == 1).then_some(one[0])
            };
            let style = match byte {
                _ if at == self.cursor => Style::new().add_modifier(Modifier::REVERSED),
                None | Some(0) => Style::new().add_modifier(Modifier::DIM),
                _ => Style::new(),
            };
            let unread = if self.space.run(at).is_some() { "??" } else { "  " };
            hex.push(Span::styled(byte.map_or_else(|| unread.to_owned(), |b| format!("{b:02x}")), style));
            hex.push(Span::raw(if i == 7 && self.columns == 16 { "  " } else { " " }));
            let c = byte.map_or(' ', |b| if matches!(b, b' '..=b'~') { char::from(b) } else { '.' });
            text.push(Span::styled(c.to_string(), style));
        }
        hex.extend(text);
        Line::from(hex)
    }

    /// Where the cursor is, and the bytes there in every type.
    fn panel(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let bytes = self.space.bytes(self.cursor, 64).unwrap_or_default();
        let mut fields = hexdump::all(self.cursor, &bytes, &self.cx, &self.modules);
        let place = self.space.vma(self.cursor).map(|v| format!("{} {}", perm(v), what(v, true, &self.cx)));
        fields.add("segment", place.unwrap_or_else(|| "none".to_owned()));
        let wide = usize::from(area.width);
        // In two columns where the panel is low.
        let parts = if area.height < PANEL_LINES { 2 } else { 1 };
        let half = fields.0.len().div_ceil(parts);
        let columns = Layout::horizontal(vec![Constraint::Fill(1); parts]).split(area);
        for (some, area) in fields.0.chunks(half.max(1)).zip(columns.iter()) {
            let mut drawn = Vec::new();
            let some = Block::Fields(crate::block::Fields(some.to_vec()));
            let _ = text::draw(&[some], Some(wide / parts - 1), &mut drawn);
            frame.render_widget(Paragraph::new(lines(&drawn)), *area);
        }
    }
}
