//! Completions and manual pages.

#![allow(clippy::unwrap_used)] // clippy knows only functions marked as tests

mod common;

use common::{inspect, stdout};

#[test]
fn completions_of_each_shell_know_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let text = stdout(&inspect(dir.path(), &["completions", shell], b""), 0);
        assert!(text.contains("hexdump") && text.contains("show-secrets"), "{shell}");
    }
}

#[test]
fn every_command_has_a_page_with_examples() {
    let dir = tempfile::tempdir().unwrap();
    stdout(&inspect(dir.path(), &["man", "-o", "man1"], b""), 0);
    let pages = std::fs::read_dir(dir.path().join("man1")).unwrap().flatten();
    let pages: Vec<String> = pages.map(|p| p.file_name().to_string_lossy().into_owned()).collect();
    for command in ["", "-info", "-map", "-bt", "-diff", "-search", "-convert"] {
        assert!(pages.contains(&format!("cryo-inspect{command}.1")), "{command}: {pages:?}");
    }
    let page = std::fs::read_to_string(dir.path().join("man1/cryo-inspect-search.1")).unwrap();
    assert!(page.contains("BEGIN PRIVATE KEY"), "{page}");
}
