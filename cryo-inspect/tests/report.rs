//! `report`: one page, complete by itself.

#![allow(clippy::unwrap_used)] // clippy knows only functions marked as tests

mod common;

use common::{inspect, set, stdout};

#[test]
fn one_page_without_a_network() {
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("img"));
    stdout(&inspect(dir.path(), &["report", "img", "-o", "img.html"], b""), 0);
    let page = std::fs::read_to_string(dir.path().join("img.html")).unwrap();
    assert!(page.len() < 5 << 20);
    for word in
        ["<svg class=\"map\"", "<rect class=\"stored\"", "prefers-color-scheme: dark", "class=\"rows\"", "[heap]"]
    {
        assert!(page.contains(word), "{word}");
    }
    for word in ["http://", "https://", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(!page.contains('\u{1b}'));
}
