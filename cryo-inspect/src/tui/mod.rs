//! `tui`: an image, walked with the keyboard. [`page`] is a tree of [blocks](crate::block), which every view but one is; [`memory`] is that one.
//! A new kind of state is in it as soon as it has a printer.

pub mod app;
pub mod memory;
pub mod page;

use std::io;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind};

pub use app::App;

/// Gives the terminal back, however it ends; a panic does so by the hook that `try_init` sets.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = ratatui::try_restore();
    }
}

/// Shows it on the terminal, until it is left.
pub fn run(app: &mut App<'_>) -> io::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let _restored = Restored;
    while !app.left {
        terminal.draw(|frame| app.draw(frame))?;
        if app.work() {
            continue;
        }
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => app.key(key),
            // Whatever else comes, a new size for one, is an occasion to draw.
            _ => {}
        }
    }
    Ok(())
}

/// What the screen of this size shows after these keys: without a terminal, for tests.
pub fn rehearse(app: &mut App<'_>, keys: &str, width: u16, height: u16) -> anyhow::Result<String> {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let mut draw = |app: &mut App<'_>| {
        let Ok(_) = terminal.draw(|frame| app.draw(frame));
    };
    for c in keys.chars() {
        draw(app);
        while app.work() {}
        app.key(KeyEvent::from(if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) }));
    }
    while app.work() {}
    draw(app);
    Ok(terminal.backend().to_string())
}
