//! `verify`: what it says, and what it exits with.

mod common;

use common::{inspect, set, stdout};

#[test]
fn a_good_set() {
    let dir = tempfile::tempdir().unwrap();
    let files = set();
    files.store(&dir.path().join("img"));
    // The example has more in it than a freezer would write; what counts is that the same is found on every way in.
    let by_name = inspect(dir.path(), &["verify", "img"], b"");
    let text = stdout(&by_name, by_name.status.code().unwrap());
    for args in [["verify", "img.freeze"], ["verify", "-"]] {
        let out = inspect(dir.path(), &args, &files.piped());
        assert_eq!(out.status.code(), by_name.status.code());
        assert_eq!(stdout(&out, by_name.status.code().unwrap()).replace("-: .", "img."), text);
    }
}

#[test]
fn one_file() {
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("img"));
    let text = stdout(&inspect(dir.path(), &["verify", "img.frore"], b""), 0);
    assert!(text.starts_with("ok: img.frore: ") && text.contains(" sections, "), "{text}");
}

#[test]
fn a_set_by_its_name_and_one_that_lacks_a_file() {
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("img"));
    let json = ["--format", "json"];
    for more in [&[][..], &json] {
        let dump = |what| stdout(&inspect(dir.path(), &[&["dump", what][..], more].concat(), b""), 0);
        assert_eq!(dump("img"), dump("img.freeze"));
    }
    std::fs::remove_file(dir.path().join("img.frost")).unwrap();
    let text = stdout(&inspect(dir.path(), &["verify", "img.freeze"], b""), 0);
    let missing =
        "not verified: img.frost is not there, so nothing could be said of it, nor whether the three belong together\n";
    assert!(text.ends_with(missing), "{text}");
    // Asked for by its name, it is asked for whole.
    assert!(stdout(&inspect(dir.path(), &["verify", "img"], b""), 2).ends_with(missing));
    // Beside a program of that name.
    std::fs::write(dir.path().join("img"), "#!/bin/sh\n").unwrap();
    assert!(stdout(&inspect(dir.path(), &["dump", "img"], b""), 0).contains("img.freeze"));
}

#[test]
fn what_is_broken_is_said_with_place_and_rule() {
    let dir = tempfile::tempdir().unwrap();
    let mut frore = set().0[0].clone();
    let at = frore.windows(4).position(|w| w == b"VMAS").unwrap();
    frore[at + 48 + 10] ^= 1;
    std::fs::write(dir.path().join("bad.frore"), &frore).unwrap();
    let expected = format!("bad.frore: offset {at:#x}: rule 12: ");
    let text = stdout(&inspect(dir.path(), &["verify", "bad.frore"], b""), 1);
    let line = text.lines().find(|l| l.starts_with(&expected)).unwrap_or_else(|| panic!("{text}"));
    assert_eq!((line.matches("rule 12").count(), line.matches("0x").count()), (1, 1), "said once: {line}");
    let text = stdout(&inspect(dir.path(), &["verify", "-"], &frore), 1);
    assert!(text.lines().any(|l| l.starts_with(&expected.replace("bad.frore", "-: .frore"))), "{text}");
}

/// Opening a FIFO would wait until somebody writes, for ever in a directory of somebody else's.
#[test]
fn only_a_regular_file_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("img.freeze")).status().unwrap();
    assert!(made.success());
    for args in [&["verify", "img.freeze"][..], &["dump", "img.freeze"], &["dump", "img.freeze", "--format", "json"]] {
        let out = inspect(dir.path(), args, b"");
        assert_eq!(out.status.code(), Some(2));
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(said.contains("img.freeze: not a regular file"), "{said}");
    }
}
