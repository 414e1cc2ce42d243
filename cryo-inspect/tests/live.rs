//! A program that hangs, frozen and looked at: what gdb says of the core that is made of it is what we say.

#![allow(clippy::unwrap_used)] // clippy knows only functions marked as tests

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::inspect;
use common::wedge::{FRAMES, LIMIT, Wedge, build};
use serde_json::Value;

/// The general registers of every thread.
const REGISTERS: &str = r#"
names = "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip fs_base gs_base".split()
for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.ptid[1]):
    thread.switch()
    frame = gdb.newest_frame()
    for name in names:
        print(">", thread.ptid[1], name, hex(int(frame.read_register(name)) & (2**64 - 1)))
"#;

#[test]
fn gdb_finds_the_same_frames_and_registers_in_the_core() {
    let wedge = Wedge::start();
    wedge.freeze("img");
    for kind in ["full", "heap", "mini", "triage"] {
        let core = format!("{kind}.core");
        wedge.text(&["convert", "img", "--to", "core", "--type", kind, "-o", &core], 0);
        let ours: Vec<String> = wedge
            .rows(&["bt", "img", "--format", "jsonl"])
            .iter()
            .filter(|row| row["pc"] != "")
            .map(|row| format!("{} {}", row["tid"], row["pc"].as_str().unwrap()))
            .collect();
        let gdbs = wedge.gdb("./wedge", &core, FRAMES);
        if kind == "triage" {
            // Without what the loader wrote there are no libraries, but every thread is where it was.
            let first = |all: &[String]| all.iter().filter(|l| ours.contains(l)).count();
            assert!(first(&gdbs) >= 3, "{gdbs:?}");
            continue;
        }
        let differ = ours.iter().zip(&gdbs).find(|(a, b)| a != b);
        assert_eq!((differ, ours.len()), (None, gdbs.len()), "{kind}: {ours:?} {gdbs:?}");
        assert!(ours.len() > 15, "three threads, one of them in a handler: {ours:?}");
    }
    assert!(
        !wedge.text(&["convert", "img", "--to", "core", "-o", "full.core"], 2).contains('x'),
        "it is there already"
    );
    let registers = wedge.gdb("./wedge", "full.core", REGISTERS);
    assert_eq!(registers.len(), 57);
    for line in registers {
        let [tid, name, value] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let ours = wedge.text(&["query", "img", name, "--tid", tid], 0);
        assert_eq!(ours.trim(), value, "{line}");
    }
}

#[test]
fn from_the_overview_to_the_faulty_frame() {
    let wedge = Wedge::start();
    wedge.freeze("img");
    let text = wedge.text(&["syscall", "img"], 0);
    assert!(text.contains("futex(") && text.contains("pause()"), "{text}");
    let text = wedge.text(&["bt", "img"], 0);
    for function in ["wait_for_lock+", "waits+", "sit+", "interrupted+", "main+", "wedge.c:", "call frame info"] {
        assert!(text.contains(function), "{function}: {text}");
    }
    assert!(wedge.text(&["hexdump", "img", "ratio", "--as", "f64"], 0).contains("3.25"));
    assert!(wedge.text(&["telescope", "img", "head", "-n", "1"], 0).matches(" -> ").count() >= 3);
    assert!(wedge.text(&["disas", "img", "wait_for_lock"], 0).contains("call wait_for_lock"));
    let found = wedge.rows(&["search", "img", "--text", "the-secret-word", "--format", "jsonl"]);
    assert!(found.iter().any(|row| row["at"] == "secret"), "{found:?}");
    let pointers = wedge.rows(&["search", "img", "--pointer-to", "wait_for_lock", "--format", "jsonl"]);
    assert!(!pointers.is_empty(), "return addresses");
    assert_eq!(wedge.text(&["search", "img", "--text", "not there at all"], 1), "");
    assert!(wedge.text(&["strings", "img", "-n", "10"], 0).contains("the-secret-word"));
    let hidden = wedge.text(&["env", "img"], 0);
    assert!(hidden.contains("PASSWORD") && !hidden.contains("hunter2"), "{hidden}");
    assert!(wedge.text(&["env", "img", "--show-secrets"], 0).contains("hunter2"));
}

#[test]
fn what_changed_between_two_images() {
    let mut wedge = Wedge::start();
    wedge.freeze("before");
    let sent = Command::new("kill").args(["-USR2", &wedge.child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    wedge.expect("changed");
    wedge.freeze("after");
    assert_eq!(wedge.text(&["diff", "before", "before"], 0), "");
    let text = wedge.text(&["diff", "before", "after", "--bytes"], 1);
    assert!(text.contains("00 00 00 00 00 00 0a 40") && text.contains("00 00 00 00 00 00 1e 40"), "{text}");
    let rows = wedge.text(&["diff", "before", "after", "--format", "jsonl"], 1);
    let data = rows
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap())
        .find(|r| r["what"].as_str().is_some_and(|w| w.contains("/wedge")) && r["section"] == "memory");
    assert_eq!(
        (data.as_ref().unwrap()["pages"].as_u64(), data.as_ref().unwrap()["bytes"].as_u64()),
        (Some(1), Some(1)),
        "{rows}"
    );
}

#[test]
fn a_redacted_set_keeps_the_frames_and_no_secret() {
    let wedge = Wedge::start();
    wedge.freeze("img");
    wedge.text(&["redact", "img", "-o", "shown", "--pattern", "the-secret-[a-z]*"], 0);
    let text = wedge.text(&["verify", "shown"], 0);
    assert!(text.contains("the three belong together"), "{text}");
    for secret in ["the-secret-word", "hunter2"] {
        assert!(!wedge.text(&["search", "img", "--text", secret], 0).is_empty(), "{secret}");
        assert_eq!(wedge.text(&["search", "shown", "--text", secret], 1), "");
    }
    let bytes = std::fs::read(wedge.dir.path().join("shown.freeze")).unwrap();
    assert!(!bytes.windows(7).any(|w| w == b"hunter2"));
    assert_eq!(wedge.text(&["bt", "shown"], 0), wedge.text(&["bt", "img"], 0));
    assert!(wedge.text(&["env", "shown", "--show-secrets"], 0).contains("PASSWORD  xxxxxxx"));
    assert!(wedge.text(&["notes", "shown"], 0).contains("redacted"));
    let thaw = PathBuf::from(env!("CARGO_BIN_EXE_cryo-inspect")).with_file_name("cryo-thaw");
    let out = Command::new(thaw).current_dir(wedge.dir.path()).args(["--detach", "shown"]).output().unwrap();
    let words = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code() == Some(125) && words.contains("the set was redacted"), "{words}");
}

#[test]
fn what_was_edited_is_another_set() {
    let wedge = Wedge::start();
    wedge.freeze("img");
    let edits = ["--poke", "ratio=00 00 00 00 00 00 1e 40", "--register", "rbx=0x2a"];
    wedge.text(&[&["edit", "img", "-o", "other"][..], &edits].concat(), 0);
    wedge.text(&["verify", "other"], 0);
    assert!(wedge.text(&["hexdump", "other", "ratio", "--as", "f64"], 0).contains("7.5"));
    let rows = wedge.text(&["diff", "img", "other", "--format", "jsonl"], 1);
    let changes: Vec<Value> = rows.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(changes.len(), 2, "the register, and a page: {rows}");
    assert!(wedge.text(&["edit", "img", "-o", "other", "--register", "rbx=1"], 2).is_empty(), "it is there already");
    assert!(wedge.text(&["edit", "img", "-o", "none", "--poke", "0x10=00"], 2).is_empty());
}

#[test]
fn a_set_without_its_indexes_is_mended() {
    let wedge = Wedge::start();
    wedge.freeze("img");
    let path = |name: &str| wedge.dir.path().join(name);
    for extension in ["frore", "frost", "freeze"] {
        let mut bytes = std::fs::read(path(&format!("img.{extension}"))).unwrap();
        // The footer, and all that says where the index is.
        let len = bytes.len();
        bytes[len - 32..].fill(0);
        std::fs::write(path(&format!("broken.{extension}")), bytes).unwrap();
    }
    wedge.text(&["verify", "broken.freeze"], 1);
    wedge.text(&["repair", "broken.freeze", "-o", "mended"], 0);
    wedge.text(&["verify", "mended"], 0);
    for extension in ["frore", "frost", "freeze"] {
        let [a, b] = ["img", "mended"].map(|name| std::fs::read(path(&format!("{name}.{extension}"))).unwrap());
        assert!(a == b, "{extension}: as it was");
    }
}

#[test]
fn what_no_digest_leaves_unproved_is_said() {
    let wedge = Wedge::start();
    wedge.freeze("proved");
    wedge.freeze_with("unproved", &["--no-digest"]);
    assert!(!wedge.text(&["verify", "proved"], 0).contains("without a digest"));
    let text = wedge.text(&["verify", "unproved"], 0);
    assert!(text.contains("pages without a digest: of these only the checksums were compared"), "{text}");
}

/// The exit status and what went to standard error of another of the tools.
fn tool(dir: &Path, name: &str, args: &[&str]) -> (Option<i32>, String) {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_cryo-inspect")).with_file_name(name);
    let out = Command::new(path).current_dir(dir).args(args).stdin(Stdio::null()).output().unwrap();
    (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn check_says_what_the_thawer_says() {
    let wedge = Wedge::start();
    wedge.freeze("img");
    let rows = wedge.rows(&["check", "img", "--format", "jsonl"]);
    assert!(rows.iter().all(|row| row["answer"] == "yes"), "{rows:?}");
    for name in ["image", "registers", "instructions", "files", "ports", "ids", "kernel", "trial thaw"] {
        assert!(rows.iter().any(|row| row["condition"] == name), "{name}: {rows:?}");
    }
    let no = |args: &[&str]| {
        let text = wedge.text(&[&["check", "--format", "jsonl"][..], args].concat(), 1);
        let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.filter(|row| row["answer"] == "no").map(|row| row["what"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // What the thawer refuses, in its own words.
    wedge.text(&["redact", "img", "-o", "redacted"], 0);
    for args in [&["redacted"][..], &["img", "--fd", "77=null"], &["img", "--pid", "same"]] {
        let said = no(args);
        let (code, words) = tool(wedge.dir.path(), "cryo-thaw", &[&["--detach"][..], args].concat());
        assert_eq!((code, said.len()), (Some(125), 1), "{args:?}: {said:?}");
        assert_eq!(words.trim(), format!("cryo-thaw: {}", said[0]), "{args:?}");
    }
    assert_eq!(wedge.text(&["check", "nothing"], 2), "");
}

#[test]
fn what_a_pattern_matches_is_wiped_across_pages() {
    let wedge = Wedge::start();
    wedge.freeze("img");
    let rows = wedge.rows(&["map", "img", "--format", "jsonl"]);
    let stack =
        rows.iter().find(|row| row["what"].as_str().is_some_and(|w| w.starts_with("[stack]"))).unwrap()["range"]
            .as_str()
            .unwrap();
    let end = u64::from_str_radix(stack.split_once('-').unwrap().1, 16).unwrap();
    // AKIAABCDEFGHIJKLMNOP
    let hex = "414b49414142434445464748494a4b4c4d4e4f50";
    // Eight bytes of it in one page, twelve in the next.
    wedge.text(&["edit", "img", "-o", "key", "--poke", &format!("{:x}={hex}", end - 0x1000 - 8)], 0);
    assert!(wedge.text(&["search", "key", "--text", "CDEFGHIJKLMNOP"], 0).contains("[stack]"));
    wedge.text(&["redact", "key", "-o", "without", "--pattern", "AKIA[0-9A-Z]{16}"], 0);
    for part in ["AKIA", "CDEFGHIJKLMNOP"] {
        // Files and libraries may have the like of it.
        let found =
            String::from_utf8(inspect(wedge.dir.path(), &["search", "without", "--text", part], b"").stdout).unwrap();
        assert!(!found.contains("[stack]"), "{part}: {found}");
    }
    assert!(wedge.text(&["verify", "without"], 0).contains("ok: the three belong together"));
}

#[test]
fn a_core_becomes_a_set() {
    let wedge = Wedge::start();
    wedge.freeze("img");
    let pid = wedge.child.id().to_string();
    let made = Command::new("gcore").current_dir(wedge.dir.path()).args(["-o", "core", &pid]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let core = format!("core.{pid}");
    wedge.text(&["convert", &core, "--from", "core", "-o", "set"], 0);
    wedge.text(&["verify", "set"], 0);
    let frames = |image: &str| -> Vec<String> {
        let rows = wedge.rows(&["bt", image, "--format", "jsonl"]);
        let frames = rows.iter().filter(|row| row["pc"] != "");
        frames.map(|row| format!("{} {}", row["tid"], row["pc"].as_str().unwrap())).collect()
    };
    // It stood still all the time: what is in the core is what is in the image.
    let ours = frames("set");
    assert!(ours.len() > 15, "{ours:?}");
    assert_eq!(ours, frames("img"));
    assert_eq!(ours, wedge.gdb("./wedge", &core, FRAMES));
    for line in wedge.gdb("./wedge", &core, REGISTERS) {
        let [tid, name, value] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!(wedge.text(&["query", "set", name, "--tid", tid], 0).trim(), value, "{line}");
    }
    for command in [&["env", "--show-secrets"][..], &["auxv"], &["hexdump", "head"], &["hexdump", "secret+16"]] {
        let asked = |image: &str| wedge.text(&[&command[..1], &[image], &command[1..]].concat(), 0);
        assert_eq!(asked("set"), asked("img"), "{command:?}");
    }
    let vector = |image: &str| -> Vec<Value> {
        let rows = wedge.rows(&["regs", image, "--format", "jsonl"]);
        rows.iter().filter_map(|row| row.get("zmm0").cloned()).collect()
    };
    assert!(!vector("img").is_empty());
    assert_eq!(vector("set"), vector("img"));
    // And back: gdb sees in the core of the set what it saw in the core that the set is of.
    wedge.text(&["convert", "set", "--to", "core", "-o", "back.core"], 0);
    assert_eq!(wedge.gdb("./wedge", "back.core", FRAMES), ours);
    let (code, words) = tool(wedge.dir.path(), "cryo-thaw", &["--detach", "set"]);
    assert!(code == Some(125) && words.contains("the set was made of a core"), "{words}");
    // What is no core is refused, and leaves nothing.
    assert_eq!(wedge.text(&["convert", "wedge", "--from", "core", "-o", "none"], 2), "");
    // Our own has its notes before its memory, as the kernel's.
    let mut bytes = std::fs::read(wedge.dir.path().join("back.core")).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(wedge.dir.path().join("cut.core"), bytes).unwrap();
    wedge.text(&["convert", "cut.core", "--from", "core", "-o", "cut"], 0);
    assert!(wedge.text(&["notes", "cut"], 0).contains("cut off"));
    assert!(!wedge.dir.path().join("none.freeze").exists());
}

#[test]
fn a_value_of_the_environment_is_edited() {
    let wedge = Wedge::start();
    wedge.freeze("img");
    wedge.text(&["edit", "img", "-o", "other", "--env", "PASSWORD=abc"], 0);
    wedge.text(&["verify", "other"], 0);
    let text = wedge.text(&["env", "other", "--show-secrets"], 0);
    assert!(text.contains("PASSWORD  abc\n") && !text.contains("hunter2"), "{text}");
    for edit in ["PASSWORD=longer than the old one", "NOTHERE=1"] {
        assert_eq!(wedge.text(&["edit", "img", "-o", "none", "--env", edit], 2), "", "{edit}");
        assert!(!wedge.dir.path().join("none.freeze").exists());
    }
}

#[test]
fn two_runs_differ_in_where_things_are() {
    let (one, two) = (Wedge::start(), Wedge::start());
    one.freeze("one");
    let name = one.dir.path().join("two").display().to_string();
    two.freeze(&name);
    let text = one.text(&["diff", "one", "two", "--format", "jsonl"], 1);
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let segments: Vec<&Value> = rows.iter().filter(|row| row["section"] == "segments").collect();
    let moved = |row: &&&Value| row["change"] == "moved";
    let heap = segments.iter().filter(moved).find(|row| row["what"].as_str().unwrap().contains("[heap]")).unwrap();
    assert_ne!(heap["before"], heap["after"]);
    // What is in them is compared where it is: the heaps of two runs differ in pointers, and not in most of their bytes.
    let heaps = rows.iter().find(|row| row["section"] == "memory" && row["range"] == heap["after"]).unwrap();
    assert!((1..200).contains(&heaps["bytes"].as_u64().unwrap()), "{heaps}");
    // The template of one against the whole other set.
    let text = one.text(&["diff", "one.frore", "two.freeze", "--format", "jsonl"], 1);
    assert!(text.contains("\"moved\"") && text.contains("the first has no .freeze"), "{text}");
    assert!(one.text(&["diff", "one", "one", "--show-unchanged"], 0).contains("= segments"));
}

/// A program that is ended when it is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A line as it is on every machine and in every run: without its numbers, and the room that they take.
fn common_to_all(line: &str) -> String {
    let number = regex::Regex::new(r"(?-u:\b)(0x)?[0-9a-f]*[0-9][0-9a-f]*(\.[0-9]+)?( [KM]iB)?(?-u:\b)").unwrap();
    let directory = regex::Regex::new(r"/[^ ]*/").unwrap();
    let line = directory.replace_all(line, "");
    number.replace_all(&line, "N").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_session_of_the_readme() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let session = readme.split_once("### A program that hangs").unwrap().1;
    let session = session.split_once("```console\n").unwrap().1.split_once("```").unwrap().0;
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), "bank");
    let mut command = Command::new("./bank");
    command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let bank = Ended(command.spawn().unwrap());
    let tasks = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", bank.0.id())).unwrap().flatten();
        let mut tasks: Vec<PathBuf> = tasks.map(|t| t.path()).collect();
        tasks.sort_by_key(|t| t.file_name().unwrap().to_string_lossy().parse::<u32>().unwrap());
        tasks
    };
    // futex(2) is 202; the barrier is one, too, but both cannot wait there.
    let waits = |t: &PathBuf| std::fs::read_to_string(t.join("syscall")).is_ok_and(|s| s.starts_with("202 "));
    let begun = Instant::now();
    let mut quiet = 0;
    while quiet < 5 {
        assert!(begun.elapsed() < LIMIT, "the two do not wait for each other");
        std::thread::sleep(Duration::from_millis(5));
        let all = tasks();
        quiet = if all.len() == 3 && all.iter().all(waits) { quiet + 1 } else { 0 };
    }
    // Ids of the README, in their order, and those of today.
    let today: Vec<String> = tasks().iter().map(|t| t.file_name().unwrap().to_string_lossy().into_owned()).collect();
    let ids = ["9091", "9095", "9096"];
    let bins = Path::new(env!("CARGO_BIN_EXE_cryo-inspect")).parent().unwrap();
    let path = format!("{}:{}", bins.display(), std::env::var("PATH").unwrap());
    for step in session.split("$ ").filter(|step| !step.is_empty()) {
        let (command, expected) = step.split_once('\n').unwrap();
        let mut typed = command.split(" # ").next().unwrap().trim_end().to_owned();
        for (id, now) in ids.iter().zip(&today) {
            typed = typed.replace(id, now);
        }
        if typed.starts_with("cryo-freeze") {
            // Of what starts the test it may have inherited descriptors.
            typed.push_str(" --fd outside=null");
        }
        let mut sh = Command::new("sh");
        let out = sh.current_dir(dir.path()).env("PATH", &path).args(["-c", &typed]).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{typed}: {}", String::from_utf8_lossy(&out.stderr));
        // The checkout's path may have spaces in it.
        let said = said.replace(&format!("{}/tests/programs/", env!("CARGO_MANIFEST_DIR")), "/tmp/bank/");
        let lines: Vec<String> = said.lines().map(common_to_all).collect();
        // The C library's own frames are others in another one.
        for line in expected.lines().filter(|line| !line.contains("libc.so")) {
            assert!(lines.contains(&common_to_all(line)), "{typed}: {line}\n{said}");
        }
        // Who has the lock: that is what it is all about.
        let owner = ids.iter().zip(&today).find(|(id, _)| command.contains("hexdump") && expected.contains(**id));
        assert!(owner.is_none_or(|(_, now)| said.split_whitespace().any(|word| word == now)), "{typed}: {said}");
    }
}
