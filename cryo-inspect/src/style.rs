//! The few colours. Written always; the stream takes them out again where nobody would see them.

use anstyle::{AnsiColor, Style};

/// Headings.
pub const HEADING: Style = Style::new().bold();
/// Column heads, labels, what is there only for completeness.
pub const DIM: Style = Style::new().dimmed();
/// What somebody should look at.
pub const WARN: Style = AnsiColor::Yellow.on_default().bold();

/// `text` in `style`.
pub fn paint(style: Style, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{style}{text}{style:#}") }
}
