//! What every command shows of every recorded image (fixtures/v1), as a table and as JSON, and the help of each. `cargo xtask bless` records it
//! anew in tests/snapshots/, one file each: IMAGE.COMMAND.FORMAT.snap.

#![allow(clippy::unwrap_used)] // clippy knows only functions marked as tests

use std::path::PathBuf;
use std::process::Command;

/// With the words that make each command say something of any image.
const COMMANDS: [&[&str]; 25] = [
    &["verify"],
    &["info"],
    &["map"],
    &["regs"],
    &["syscall"],
    &["fds"],
    &["signals"],
    &["timers"],
    &["tree"],
    &["threads"],
    &["env", "--show-secrets"],
    &["auxv"],
    &["notes"],
    &["stats"],
    &["query", "registers.rip"],
    &["bt"],
    &["telescope"],
    &["hexdump", "[stack]+64"],
    &["hexdump", "$rsp", "--as", "all"],
    &["disas", "[vdso]"],
    &["symbols"],
    &["strings", "--range", "7ff000000000-7fffffffffff"],
    &["search", "--regex", "/tmp/[.a-zA-Z0-9]+"],
    &["diff", "smallest.freeze"],
    &["dump"],
];

fn inspect(args: &[&str]) -> String {
    let v1 = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/v1");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cryo-inspect"));
    // Nothing of this machine.
    command.args(args).current_dir(v1).env("CRYO_NO_FILES", "1").env_remove("COLUMNS");
    let done = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let code = done.status.code().unwrap();
    assert!(!out.contains('\u{1b}'), "{args:?}");
    if (code, err.is_empty()) == (0, true) { out.into_owned() } else { format!("{out}exit status {code}\n{err}") }
}

fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

#[test]
fn every_command_on_every_image() {
    let mut seen = Vec::new();
    for image in ["smallest", "refer", "rich"] {
        for words in COMMANDS {
            let (command, rest) = words.split_first().unwrap();
            let file = format!("{image}.freeze");
            for format in ["table", "json"] {
                let args = [&[*command, file.as_str()], rest, &["--format", format]].concat();
                let variant = if rest.contains(&"--as") { "-as" } else { "" };
                let name = format!("{image}.{command}{variant}.{format}");
                settings().bind(|| insta::assert_snapshot!(name.clone(), inspect(&args)));
                seen.push(name);
            }
        }
    }
    assert_eq!(seen.len(), 3 * COMMANDS.len() * 2);
}

/// Every command is here, or says why it is not.
#[test]
fn no_command_is_forgotten() {
    /// They write files, or show nothing of their own: tests/cmd has them.
    const ELSEWHERE: [&str; 13] = [
        "schema",
        "extract",
        "convert",
        "edit",
        "redact",
        "repair",
        "flatten",
        "report",
        "tui",
        "completions",
        "man",
        "help",
        "check",
    ];
    let missing: Vec<String> = commands()
        .into_iter()
        .filter(|c| !ELSEWHERE.contains(&c.as_str()) && !COMMANDS.iter().any(|words| words[0] == c))
        .collect();
    assert!(missing.is_empty(), "tests/snapshots.rs has no {missing:?}");
}

fn commands() -> Vec<String> {
    let help = inspect(&["--help"]);
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let list = list.split("\n\n").next().unwrap().lines();
    let names = list.filter(|l| l.starts_with("  ") && !l.starts_with("   "));
    names.filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn the_help_of_every_command() {
    settings().bind(|| insta::assert_snapshot!("help", inspect(&["--help"])));
    for command in commands().iter().filter(|c| *c != "help") {
        settings().bind(|| insta::assert_snapshot!(format!("help.{command}"), inspect(&[command, "--help"])));
    }
}
