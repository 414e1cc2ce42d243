//! Text from an image on its way to a person. It may hold anything: what would steer a terminal is escaped, what is endless is cut.

use crate::limits::MAX_MESSAGE;

/// A message or a name that may quote an image, fit for a terminal: `\n` and `\u{..}` for what is not visible. Its backslashes are
/// escapes already.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut out, c));
    out
}

/// [`harmless`], and no longer than a person reads: of a longer text its first [`MAX_MESSAGE`] characters and its last words, since errors
/// name the way out at their end.
pub fn message(text: &str) -> String {
    const LAST: usize = 256;
    let out = harmless(text);
    let Some((head, _)) = out.char_indices().nth(MAX_MESSAGE) else { return out };
    let Some((tail, _)) = out.char_indices().nth_back(LAST - 1) else { return out };
    let (head, tail) = (head.min(tail), tail);
    format!("{}... ({} bytes left out) ...{}", &out[..head], tail - head, &out[tail..])
}

/// Appends a character, escaped where it is not visible or turns the direction of what follows.
pub fn push(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        c if is_hidden(c) => out.extend(c.escape_unicode()),
        c => out.push(c),
    }
}

/// Is it a control character, not visible, or one that turns the direction of what follows?
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            // Tags: a text within the text.
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        assert_eq!(message("a\x1b[31m\n\u{202e}\u{9b}ü\\x1b"), "a\\u{1b}[31m\\n\\u{202e}\\u{9b}ü\\x1b");
    }

    #[test]
    fn a_long_message_keeps_its_ends() {
        let said = message(&format!("fd 7 ({}): use --fd 7=null", "/long".repeat(20_000)));
        assert!(said.len() < MAX_MESSAGE + 400, "{}", said.len());
        assert!(said.starts_with("fd 7 (/long") && said.ends_with("): use --fd 7=null"), "{said}");
        // Wide and escaped characters are cut whole.
        assert!(message(&"\u{1b}ü\u{1f600}".repeat(9000)).len() < 5 * MAX_MESSAGE);
        assert_eq!(message(&"x".repeat(MAX_MESSAGE)).len(), MAX_MESSAGE);
    }
}
