//! `tui`, without a terminal: keys, and what the screen shows after them. (fixtures/tests/tui.rs does it in tmux.)

#![allow(clippy::unwrap_used)] // clippy knows only functions marked as tests

mod common;

use std::io::Write;

use common::set;
use cryo_inspect::command::{Opened, open};
use cryo_inspect::people::People;
use cryo_inspect::tui::{App, rehearse};

/// The screen of the example after these keys; its commands answer with their own words.
fn screen(keys: &str, width: u16) -> String {
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("img"));
    let ice = open(&dir.path().join("img")).unwrap();
    let other = open(&dir.path().join("img")).unwrap();
    let people = People::of(&ice);
    let opened = Opened { ice, people };
    let mut verbs = |words: &[String], out: &mut dyn Write| {
        writeln!(out, "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2J{}", words.join("|"))?;
        Ok(())
    };
    let mut app = App::new(&opened, Some(&other), &mut verbs);
    let screen = rehearse(&mut app, keys, width, 24).unwrap();
    assert!(!screen.contains(|c: char| c.is_control() && c != '\n'), "{screen:?}");
    screen
}

#[test]
fn every_view_shows_what_it_is_for() {
    for width in [60, 120] {
        assert!(screen("", width).contains("process"), "{}", screen("", width));
        assert!(screen("2", width).contains("perm"), "{}", screen("2", width));
        assert!(screen("3", width).contains("f64"), "{}", screen("3", width));
        assert!(screen("4", width).contains("thread"), "{}", screen("4", width));
        assert!(screen("5", width).contains("fd"), "{}", screen("5", width));
        assert!(screen("6", width).contains("no difference"), "{}", screen("6", width));
        assert!(screen("7", width).contains("nothing yet"), "{}", screen("7", width));
        assert!(screen("?", width).contains("the next view"), "{}", screen("?", width));
    }
}

/// The tree has every kind of state: whatever has a printer can be searched for, in groups that are closed, too.
#[test]
fn the_tree_has_every_section() {
    for heading in ["timers", "credentials", "seccomp", "extended registers", "pipes"] {
        let shown = screen(&format!("/{heading}\n"), 80);
        assert!(shown.to_lowercase().contains(heading), "{shown}");
    }
    assert!(screen("/there is no such text\n", 80).contains("is not here"));
}

#[test]
fn a_line_with_an_address_leads_to_memory() {
    let shown = screen("2/[heap]\n\n", 120);
    assert!(shown.contains("[heap]") && shown.contains("pointer to"), "{shown}");
    assert!(screen("7\n", 120).contains("no address of this process"));
}

#[test]
fn the_command_line_runs_every_verb() {
    let shown = screen(":search --text 'two words'\n", 80);
    assert!(shown.contains("search|--text|two words") && shown.contains("red"), "{shown}");
    assert!(screen(":hexdump nowhere\n", 120).contains("nowhere: no address in hex"));
    assert!(screen(":it's\n", 80).contains("a quote is not closed"));
}
