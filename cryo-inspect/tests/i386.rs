//! 32-bit processes: what gdb says of the core that is made of one is what we say; registers as places; sets that are redacted and edited.

#![allow(clippy::unwrap_used)] // clippy knows only functions marked as tests

mod common;

use common::wedge::{FRAMES, Wedge};
use serde_json::Value;

/// The general registers of every thread, x87 and SSE, and the segment of its thread area.
const REGISTERS: &str = r#"
names = "eax ebx ecx edx esi edi ebp esp eip cs ss ds es fs gs".split()
for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.ptid[1]):
    thread.switch()
    frame = gdb.newest_frame()
    for name in names:
        print(">", thread.ptid[1], name, hex(int(frame.read_register(name)) & (2**32 - 1)))
"#;

/// What else there is in a core: its kind, x87 and MXCSR, a variable, the auxiliary vector.
const OTHERS: &str = r#"
print(">", gdb.selected_frame().architecture().name(), gdb.selected_inferior().pid)
print(">", hex(int(gdb.parse_and_eval("$fctrl")) & 0xffff), hex(int(gdb.parse_and_eval("$ftag")) & 0xffff), int(gdb.parse_and_eval("$mxcsr")))
print(">", gdb.parse_and_eval("ratio"), gdb.parse_and_eval("sizeof(void *)"), gdb.parse_and_eval("head->next->next->value"))
print(">", "AT_ENTRY" in gdb.execute("info auxv", to_string=True), "wedge32" in gdb.execute("info proc mappings", to_string=True))
"#;

/// `TID PC` of each frame of one process, as `bt` has them.
fn frames(wedge: &Wedge, image: &str, pid: &str) -> Vec<String> {
    let rows = wedge.rows(&["bt", image, "--pid", pid, "--format", "jsonl"]);
    let frames = rows.iter().filter(|row| row["pc"] != "");
    frames.map(|row| format!("{} {}", row["tid"], row["pc"].as_str().unwrap())).collect()
}

fn class(wedge: &Wedge, core: &str) -> u8 {
    std::fs::read(wedge.dir.path().join(core)).unwrap()[4]
}

#[test]
fn gdb_finds_the_same_frames_and_registers_in_the_core() {
    let wedge = Wedge::start_as(&["wedge32"]);
    wedge.freeze("img");
    let pid = wedge.child.id().to_string();
    let ours = frames(&wedge, "img", &pid);
    assert!(ours.len() > 15, "three threads, one of them in a handler: {ours:?}");
    for kind in ["full", "heap", "mini", "triage"] {
        let core = format!("{kind}.core");
        wedge.text(&["convert", "img", "--to", "core", "--type", kind, "-o", &core], 0);
        assert_eq!(class(&wedge, &core), 1, "ELFCLASS32");
        let gdbs = wedge.gdb("./wedge32", &core, FRAMES);
        if kind == "triage" {
            // Without what the loader wrote there are no libraries, but every thread is where it was.
            let first = gdbs.iter().filter(|l| ours.contains(l)).count();
            assert!(first >= 3, "{gdbs:?}");
            continue;
        }
        assert_eq!(ours, gdbs, "{kind}");
    }
    let registers = wedge.gdb("./wedge32", "full.core", REGISTERS);
    assert_eq!(registers.len(), 45);
    for line in registers {
        let [tid, name, value] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let ours = wedge.text(&["query", "img", name, "--tid", tid], 0);
        assert_eq!(ours.trim(), value, "{line}");
    }
    let others = wedge.gdb("./wedge32", "full.core", OTHERS);
    // What every program has whose x87 and SSE are as the C library leaves them.
    let expected = [format!("i386 {pid}"), "0x37f 0xffff 8064".into(), "3.25 4 0".into(), "True True".into()];
    assert_eq!(others, expected);
}

#[test]
fn each_member_of_a_family_has_a_core_of_its_own_class() {
    for (programs, classes) in [(["wedge", "wedge32"], [2, 1]), (["wedge32", "wedge"], [1, 2])] {
        let wedge = Wedge::start_as(&programs);
        wedge.freeze("img");
        let rows = wedge.rows(&["threads", "img", "--format", "jsonl"]);
        let mut pids: Vec<String> = rows.iter().map(|row| row["pid"].to_string()).collect();
        pids.dedup();
        let parent = wedge.child.id().to_string();
        pids.sort_by_key(|pid| *pid != parent);
        assert_eq!(pids.len(), 2, "{rows:?}");
        for ((pid, program), wanted) in pids.iter().zip(programs).zip(classes) {
            let core = format!("{program}.core");
            wedge.text(&["convert", "img", "--to", "core", "--pid", pid, "-o", &core], 0);
            assert_eq!(class(&wedge, &core), wanted, "{program}");
            assert_eq!(wedge.gdb(&format!("./{program}"), &core, FRAMES), frames(&wedge, "img", pid), "{program}");
        }
    }
}

/// Registers, without what threads are called, which no core says. Of a core of gdb's, only the general ones: it has no thread areas, and says that all others are
/// in use.
fn registers(wedge: &Wedge, image: &str, all: bool) -> Vec<String> {
    let text = wedge.text(&["regs", image], 0);
    let mut wanted = true;
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("thread ")) {
        if line.starts_with("  ") && !line.starts_with("    ") {
            wanted = all || line == "  registers";
        }
        if wanted {
            lines.push(line.into());
        }
    }
    assert!(lines.len() > 18, "{text}");
    lines
}

/// What the commands say of two sets that should be of the same process.
fn same(wedge: &Wedge, set: &str) {
    wedge.text(&["verify", set], 0);
    let pid = wedge.child.id().to_string();
    let ours = frames(wedge, set, &pid);
    assert!(ours.len() > 15, "{ours:?}");
    assert_eq!(ours, frames(wedge, "img", &pid));
    assert_eq!(registers(wedge, set, false), registers(wedge, "img", false));
    for command in [&["env", "--show-secrets"][..], &["auxv"], &["hexdump", "head"], &["hexdump", "secret+16"]] {
        let asked = |image: &str| wedge.text(&[&command[..1], &[image], &command[1..]].concat(), 0);
        assert_eq!(asked(set), asked("img"), "{command:?}");
    }
    // And back: gdb sees in the core of the set what the set is of.
    let back = format!("{set}.core");
    wedge.text(&["convert", set, "--to", "core", "-o", &back], 0);
    assert_eq!(class(wedge, &back), 1, "ELFCLASS32");
    assert_eq!(wedge.gdb("./wedge32", &back, FRAMES), ours);
    assert_eq!(wedge.gdb("./wedge32", &back, OTHERS), wedge.gdb("./wedge32", "img.core", OTHERS));
}

#[test]
fn a_core_becomes_a_set() {
    let wedge = Wedge::start_as(&["wedge32"]);
    wedge.freeze("img");
    // Our own.
    wedge.text(&["convert", "img", "--to", "core", "-o", "img.core"], 0);
    wedge.text(&["convert", "img.core", "--from", "core", "-o", "ours"], 0);
    same(&wedge, "ours");
    assert_eq!(registers(&wedge, "ours", true), registers(&wedge, "img", true));
    // The entry of the GDT by which the C library finds a thread's own data.
    let entries = |set: &str| -> Vec<Value> {
        let rows = wedge.text(&["dump", set, "--format", "jsonl"], 0);
        let rows = rows.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
        rows.filter(|row| row["kind"] == "TLSE").collect()
    };
    assert_eq!(entries("img").len(), 3);
    assert_eq!(entries("ours").len(), 3);
    // gdb's: it stood still all the time.
    let pid = wedge.child.id().to_string();
    let mut gcore = std::process::Command::new("gcore");
    let made = gcore.current_dir(wedge.dir.path()).args(["-o", "core", &pid]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    wedge.text(&["convert", &format!("core.{pid}"), "--from", "core", "-o", "gdbs"], 0);
    same(&wedge, "gdbs");
    // One that has x87 only as FSAVE writes it, and that is said.
    let mut bytes = std::fs::read(wedge.dir.path().join("img.core")).unwrap();
    let notes: Vec<usize> = bytes.windows(6).enumerate().filter(|(_, w)| w == b"LINUX\0").map(|(at, _)| at).collect();
    for at in notes {
        bytes[at + 4] = b'Y';
    }
    std::fs::write(wedge.dir.path().join("fsave.core"), bytes).unwrap();
    wedge.text(&["convert", "fsave.core", "--from", "core", "-o", "fsave"], 0);
    let said = wedge.text(&["notes", "fsave"], 0);
    assert!(said.contains("they are missing"), "{said}");
    // One that says it is of another machine.
    let mut bytes = std::fs::read(wedge.dir.path().join("img.core")).unwrap();
    bytes[18] = 62;
    std::fs::write(wedge.dir.path().join("x32.core"), bytes).unwrap();
    let out = common::inspect(wedge.dir.path(), &["convert", "x32.core", "--from", "core", "-o", "none"], b"");
    let words = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code() == Some(2) && words.contains("another machine"), "{words}");
}

#[test]
fn registers_symbols_and_memory() {
    let wedge = Wedge::start_as(&["wedge32"]);
    wedge.freeze("img");
    let text = wedge.text(&["bt", "img"], 0);
    for function in ["wait_for_lock+", "waits+", "sit+", "interrupted+", "main+", "wedge.c:", "call frame info"] {
        assert!(text.contains(function), "{function}: {text}");
    }
    assert!(wedge.text(&["symbols", "img", "wait_for_lock"], 0).contains("wait_for_lock"));
    assert!(wedge.text(&["disas", "img", "wait_for_lock"], 0).contains("call wait_for_lock"));
    assert_eq!(wedge.text(&["disas", "img"], 0), wedge.text(&["disas", "img", "$eip"], 0));
    assert_eq!(wedge.text(&["telescope", "img"], 0), wedge.text(&["telescope", "img", "$esp"], 0));
    assert_eq!(wedge.text(&["hexdump", "img", "$sp+32"], 0), wedge.text(&["hexdump", "img", "$esp+32"], 0));
    let esp = wedge.text(&["query", "img", "esp", "--tid", &wedge.child.id().to_string()], 0);
    let rows = wedge.rows(&["hexdump", "img", "$esp", "--as", "ptr", "--format", "jsonl"]);
    assert_eq!(rows[0]["address"], esp.trim());
    assert_eq!(rows.len(), 64, "words of four bytes: {rows:?}");
    // Three nodes of a list, each with a pointer of four bytes to the next.
    assert!(wedge.text(&["telescope", "img", "head", "-n", "1"], 0).matches(" -> ").count() >= 3);
    let pointers = wedge.rows(&["search", "img", "--pointer-to", "wait_for_lock", "--format", "jsonl"]);
    assert!(!pointers.is_empty(), "return addresses");
    let out = common::inspect(wedge.dir.path(), &["hexdump", "img", "$rsp"], b"");
    let words = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code() == Some(2) && words.contains("no register of i386"), "{words}");
    assert!(words.contains("$esp") && !words.contains("$eflags"), "{words}");
}

#[test]
fn a_redacted_set_keeps_the_frames_and_no_secret() {
    let wedge = Wedge::start_as(&["wedge32"]);
    wedge.freeze("img");
    wedge.text(&["redact", "img", "-o", "shown", "--pattern", "the-secret-[a-z]*"], 0);
    assert!(wedge.text(&["verify", "shown"], 0).contains("the three belong together"));
    for secret in ["the-secret-word", "hunter2"] {
        assert!(!wedge.text(&["search", "img", "--text", secret], 0).is_empty(), "{secret}");
        assert_eq!(wedge.text(&["search", "shown", "--text", secret], 1), "");
    }
    assert_eq!(wedge.text(&["bt", "shown"], 0), wedge.text(&["bt", "img"], 0));
}

#[test]
fn what_was_edited_is_another_set() {
    let wedge = Wedge::start_as(&["wedge32"]);
    wedge.freeze("img");
    let edits = ["--register", "ebx=0x2a", "--register", "pc=0x8048000"];
    wedge.text(&[&["edit", "img", "-o", "other"][..], &edits].concat(), 0);
    wedge.text(&["verify", "other"], 0);
    let tid = wedge.child.id().to_string();
    for (name, value) in [("ebx", "0x2a"), ("eip", "0x8048000")] {
        assert_eq!(wedge.text(&["query", "other", name, "--tid", &tid], 0).trim(), value);
    }
    let rows = wedge.text(&["diff", "img", "other", "--format", "jsonl"], 1);
    let changes: Vec<Value> = rows.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(changes.len(), 3, "the two registers, and what is mapped where the thread is: {rows}");
    for (wrong, what) in [("rbx=1", "no general register of i386"), ("ebx=0x100000000", "more than 4 bytes")] {
        let out = common::inspect(wedge.dir.path(), &["edit", "img", "-o", "none", "--register", wrong], b"");
        let words = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(2) && words.contains(what), "{wrong}: {words}");
    }
}
