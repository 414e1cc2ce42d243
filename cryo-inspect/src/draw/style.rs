//! The few colours. Written always; the stream takes them out again where nobody would see them.

use anstyle::{AnsiColor, Style};

use crate::block::Mark;

/// How a mark looks.
pub fn style(mark: Mark) -> Style {
    match mark {
        Mark::None => Style::new(),
        Mark::Strong => Style::new().bold(),
        Mark::Faint => Style::new().dimmed(),
        Mark::Warn => AnsiColor::Yellow.on_default().bold(),
        Mark::Added => AnsiColor::Green.on_default(),
        Mark::Removed => AnsiColor::Red.on_default(),
    }
}

/// `text` with that mark.
pub fn paint(mark: Mark, text: &str) -> String {
    let style = style(mark);
    if text.is_empty() || mark == Mark::None { text.to_owned() } else { format!("{style}{text}{style:#}") }
}
