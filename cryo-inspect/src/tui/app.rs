//! The views, the keys between them, and the command line.

use std::io::{self, Write};

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::memory::Memory;
use super::page::Page;
use crate::address::hex;
use crate::block::{Blocks, Group};
use crate::command::{self, Opened};
use crate::ice::Ice;
use crate::text::harmless;
use crate::{diff, dump, print::Cx};

/// Bytes that a command may write here.
const MOST: usize = 4 << 20;
/// Frames of a thread.
const FRAMES: usize = 200;

/// Runs a command line, as a shell would: words without the program's name, and where its output goes.
pub type Verbs<'v> = dyn FnMut(&[String], &mut dyn Write) -> anyhow::Result<()> + 'v;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Image,
    Map,
    Memory,
    Threads,
    Files,
    Diff,
    Output,
}

const VIEWS: [(View, &str); 7] = [
    (View::Image, "image"),
    (View::Map, "map"),
    (View::Memory, "memory"),
    (View::Threads, "threads"),
    (View::Files, "files"),
    (View::Diff, "diff"),
    (View::Output, "output"),
];

const HELP: &str = "\
1 image      everything in it, as a tree
2 map        the address space
3 memory     bytes, and what they are in every type
4 threads    backtraces and registers
5 files      descriptors
6 diff       what is different in the second image
7 output     of the last command
Tab          the next view
[ ]          the process before, the next one
Up Down PageUp PageDown Home End   or k j Space g G
Right Left   open, close; in memory a byte   (or l h)
+ -          open all, close all
Enter        open, close; where there is an address:
             memory there; in memory: along the pointer
Backspace    in memory: back
/TEXT  n     search, and the next
:COMMAND     as in a shell, without the image:
             :hexdump $rsp     :search --text password
             :disas main       :help search
?            this
q, Ctrl-C    leave
";

/// What is shown.
pub struct App<'a> {
    image: &'a Opened,
    other: Option<&'a Ice>,
    verbs: &'a mut Verbs<'a>,
    processes: Vec<(u64, Vec<u64>)>,
    process: usize,
    view: View,
    pages: Vec<(View, Page)>,
    memory: Option<Memory<'a>>,
    /// `:` or `/`, and what was typed behind it.
    prompt: Option<(char, String)>,
    searched: String,
    message: String,
    help: bool,
    /// It is to end.
    pub left: bool,
}

impl<'a> App<'a> {
    /// Of an image, and of one to compare it with.
    pub fn new(image: &'a Opened, other: Option<&'a Ice>, verbs: &'a mut Verbs<'a>) -> Self {
        let processes = image.people.processes.iter().map(|(id, threads)| (*id, threads.clone())).collect();
        Self {
            image,
            other,
            verbs,
            processes,
            process: 0,
            view: View::Image,
            pages: Vec::new(),
            memory: None,
            prompt: None,
            searched: String::new(),
            message: String::new(),
            help: false,
            left: false,
        }
    }

    fn cx(&self) -> Option<(Cx<'a>, &[u64])> {
        let (id, threads) = self.processes.get(self.process)?;
        Some((Cx { ice: &self.image.ice, owner: *id, process: Some(*id) }, threads))
    }

    fn page(&mut self) -> Option<&mut Page> {
        self.pages.iter_mut().find(|(view, _)| *view == self.view).map(|(_, page)| page)
    }

    /// Makes what the view needs and does not have yet; true if there was something to make. (The view is drawn before, empty, so that one sees why
    /// it takes its time.)
    pub fn work(&mut self) -> bool {
        let there = if self.view == View::Memory { self.memory.is_some() } else { self.page().is_some() };
        if there {
            return false;
        }
        if let Err(e) = self.make() {
            self.message = format!("{e:#}");
            let mut blocks = Blocks::default();
            blocks.caption(&self.message);
            self.pages.push((self.view, Page::new(&blocks.into_vec())));
            self.view = View::Image;
        }
        true
    }

    fn make(&mut self) -> anyhow::Result<()> {
        if self.view == View::Memory {
            let (cx, threads) = self.cx().ok_or_else(|| anyhow::anyhow!("there is no process in this file"))?;
            let cx = command::thread_of(&cx, threads.first().copied().unwrap_or(cx.owner));
            self.memory = Some(Memory::of(cx)?);
            return Ok(());
        }
        let blocks = match self.view {
            View::Image => dump::blocks(&self.image.ice),
            View::Map => {
                self.image.try_each(|cx, _, out| command::map::process(cx, &command::map::Filter::default(), out))?
            }
            View::Threads => self.image.try_each(|cx, threads, out| {
                command::bt::process(cx, threads, FRAMES, out)?;
                let mut registers = Blocks::default();
                command::regs::threads(cx, threads, None, &mut registers);
                out.group(Group::one("registers", "registers", registers));
                Ok(())
            })?,
            View::Files => self.image.try_each(|cx, _, out| {
                command::fds::process(cx, &[], out);
                Ok(())
            })?,
            View::Diff => match self.other {
                Some(other) => {
                    let options = diff::Options { bytes: true, most: 64, ..diff::Options::default() };
                    let (mut blocks, differences) = diff::diff(&self.image.ice, other, options)?;
                    if differences == 0 {
                        blocks.caption("no difference");
                    }
                    blocks
                }
                None => anyhow::bail!("there is no second image: cryo-inspect tui IMG IMG2"),
            },
            View::Output | View::Memory => {
                let mut blocks = Blocks::default();
                blocks.caption("nothing yet: `:` and a command, as `:search --text password`");
                blocks
            }
        };
        self.pages.push((self.view, Page::new(&blocks.into_vec())));
        Ok(())
    }

    /// A key was pressed.
    pub fn key(&mut self, key: KeyEvent) {
        self.message.clear();
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c' | 'd') if self.prompt.is_some() => self.prompt = None,
                KeyCode::Char('c' | 'd') => self.left = true,
                KeyCode::Char('u') => self.prompt.iter_mut().for_each(|(_, text)| text.clear()),
                _ => {}
            }
            return;
        }
        if self.prompt.is_some() {
            return self.typed(key.code);
        }
        if self.help {
            self.help = false;
            return;
        }
        match key.code {
            KeyCode::Char('q') => self.left = true,
            KeyCode::Char('?') | KeyCode::F(1) => self.help = true,
            KeyCode::Char(c @ (':' | '/')) => self.prompt = Some((c, String::new())),
            KeyCode::Char('n') => self.search(),
            KeyCode::Char(c @ '1'..='7') => self.show(VIEWS[c as usize - '1' as usize].0),
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(VIEWS.len() - 1),
            KeyCode::Char('[') => self.choose(self.process.checked_sub(1)),
            KeyCode::Char(']') => self.choose(Some(self.process + 1).filter(|p| *p < self.processes.len())),
            code => self.within(code),
        }
    }

    fn within(&mut self, code: KeyCode) {
        if self.view == View::Memory {
            if let Some(memory) = &mut self.memory
                && !memory.key(code)
                && code == KeyCode::Enter
            {
                "no pointer to anything is here".clone_into(&mut self.message);
            }
            return;
        }
        let Some(page) = self.page() else { return };
        if !page.key(code) && code == KeyCode::Enter {
            let line = page.line();
            self.follow(&line);
        }
    }

    /// Shows memory at the first address of a line that is one.
    fn follow(&mut self, line: &str) {
        let before = std::mem::replace(&mut self.view, View::Memory);
        self.work();
        let Some(memory) = &mut self.memory else { return };
        let words = line.split(|c: char| !c.is_ascii_alphanumeric());
        let addresses = words.filter(|w| w.len() >= 5).filter_map(|w| hex(w).ok());
        if let Some(at) = addresses.into_iter().find(|at| memory.space.run(*at).is_some()) {
            let _ = memory.go(&format!("{at:#x}"));
            return;
        }
        self.view = before;
        "no address of this process is in this line".clone_into(&mut self.message);
    }

    fn show(&mut self, view: View) {
        self.view = view;
    }

    fn turn(&mut self, by: usize) {
        let here = VIEWS.iter().position(|(view, _)| *view == self.view).unwrap_or(0);
        self.view = VIEWS[(here + by) % VIEWS.len()].0;
        if self.view == View::Diff && self.other.is_none() {
            self.turn(by);
        }
    }

    fn choose(&mut self, process: Option<usize>) {
        match process {
            Some(process) => {
                self.process = process;
                self.memory = None;
                self.message = self.cx().map_or_else(String::new, |(cx, _)| command::process_title(&cx));
            }
            None => "no other process there".clone_into(&mut self.message),
        }
    }

    fn search(&mut self) {
        let text = self.searched.clone();
        let found = self.page().is_some_and(|page| !text.is_empty() && page.search(&text));
        if !found {
            self.message = if self.view == View::Memory {
                "memory is searched by :search".to_owned()
            } else {
                format!("{text} is not here")
            };
        }
    }

    /// A key, while something is typed.
    fn typed(&mut self, key: KeyCode) {
        let Some((kind, text)) = &mut self.prompt else { return };
        match key {
            KeyCode::Char(c) => text.push(c),
            KeyCode::Backspace if text.pop().is_none() => self.prompt = None,
            KeyCode::Esc => self.prompt = None,
            KeyCode::Enter => {
                let (kind, text) = (*kind, std::mem::take(text));
                self.prompt = None;
                if kind == '/' {
                    self.searched = text;
                    self.search();
                } else {
                    self.command(text.trim());
                }
            }
            _ => {}
        }
    }

    fn command(&mut self, line: &str) {
        let Some(words) = shlex::split(line) else {
            "a quote is not closed".clone_into(&mut self.message);
            return;
        };
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => {}
            ["q" | "quit"] => self.left = true,
            ["diff"] if self.other.is_some() => self.show(View::Diff),
            ["hexdump", place] => {
                self.view = View::Memory;
                self.work();
                if let Some(memory) = &mut self.memory
                    && let Err(e) = memory.go(place)
                {
                    self.message = format!("{e:#}");
                }
            }
            _ => self.verb(&words),
        }
    }

    /// Runs a command, and shows what it says.
    fn verb(&mut self, words: &[String]) {
        let mut out = Bounded::default();
        crate::hold();
        let done = (self.verbs)(words, &mut out);
        let mut said = crate::release();
        if let Err(e) = done
            && !out.full
        {
            said.push(format!("{e:#}"));
        }
        if out.full {
            said.push("(there is more: run it in a shell)".to_owned());
        }
        let mut bytes = out.bytes;
        said.iter()
            .flat_map(|text| text.lines())
            .for_each(|line| bytes.extend(format!("{}\n", harmless(line)).bytes()));
        self.pages.retain(|(view, _)| *view != View::Output);
        self.pages.push((View::Output, Page::written(&bytes)));
        self.view = View::Output;
    }

    /// Draws it.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        let [head, body, foot] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        let tabs = VIEWS.iter().enumerate().filter(|(_, (view, _))| *view != View::Diff || self.other.is_some());
        let tabs = tabs.flat_map(|(i, (view, name))| {
            let style = if *view == self.view { reversed } else { Style::new() };
            [Span::styled(format!("{} {name}", i + 1), style), Span::raw("  ")]
        });
        frame.render_widget(tabs.collect::<Line<'_>>(), head);
        let ready = if self.view == View::Memory { self.memory.is_some() } else { self.page().is_some() };
        if self.help {
            frame.render_widget(Paragraph::new(HELP).wrap(ratatui::widgets::Wrap { trim: false }), body);
        } else if !ready {
            frame.render_widget(Paragraph::new("reading ..."), body);
        } else if self.view == View::Memory {
            self.memory.iter_mut().for_each(|memory| memory.draw(frame, body));
        } else if let Some(page) = self.page() {
            page.draw(frame, body);
        }
        self.foot(frame, foot, reversed);
    }

    fn foot(&self, frame: &mut Frame<'_>, area: Rect, reversed: Style) {
        let text = match &self.prompt {
            Some((kind, text)) => {
                // The end of a long line is what one looks at.
                let room = usize::from(area.width.saturating_sub(2));
                let skipped = text.chars().count().saturating_sub(room);
                format!("{kind}{}", text.chars().skip(skipped).collect::<String>())
            }
            None if !self.message.is_empty() => harmless(&self.message),
            None => {
                let who = self.cx().map_or_else(|| dump::who(&self.image.ice), |(cx, _)| command::process_title(&cx));
                format!("? help  q leave  {who}")
            }
        };
        if self.prompt.is_some() {
            frame.set_cursor_position((area.x + Line::raw(text.as_str()).width() as u16, area.y));
            frame.render_widget(Line::raw(text), area);
        } else {
            frame.render_widget(Line::styled(text, reversed), area);
        }
    }
}

/// As much as one reads.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MOST {
            self.full = true;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
