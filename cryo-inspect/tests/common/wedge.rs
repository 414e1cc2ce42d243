//! A program that hangs (tests/programs/wedge.c): started, frozen, looked at, also by gdb.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{inspect, stdout};

/// No answer takes longer.
pub const LIMIT: Duration = Duration::from_mins(1);

/// futex(2), as x86-64 and i386 number it, and futex_time64(2) of i386.
const FUTEX: [&str; 3] = ["202 ", "240 ", "422 "];

/// The program, until it is dropped.
pub struct Wedge {
    pub dir: tempfile::TempDir,
    pub child: Child,
    says: BufReader<ChildStdout>,
}

impl Drop for Wedge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds a program of tests/programs into `dir`.
pub fn build(dir: &Path, name: &str) {
    build_as(dir, name, name, &[]);
}

/// Builds it as `program`, with these flags.
pub fn build_as(dir: &Path, name: &str, program: &str, flags: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/programs/{name}.c"));
    let mut gcc = Command::new("gcc");
    let built =
        gcc.args(["-g", "-O1"]).args(flags).arg("-o").arg(dir.join(program)).arg(source).arg("-lpthread").status();
    assert!(built.unwrap().success());
}

impl Wedge {
    pub fn start() -> Self {
        Self::start_as(&["wedge"])
    }

    /// The programs of a family, each the parent of the next one: `wedge`, or `wedge32`, which is the same as one of 32 bits.
    pub fn start_as(programs: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for program in programs {
            build_as(dir.path(), "wedge", program, if *program == "wedge32" { &["-m32"] } else { &[] });
        }
        let mut command = Command::new(dir.path().join(programs[0]));
        command
            .current_dir(dir.path())
            .args(&programs[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command.env_clear().env("PASSWORD", "hunter2").env("EMPTY", "");
        let mut child = command.spawn().unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        let mut wedge = Self { dir, child, says };
        for _ in programs {
            wedge.expect("ready");
        }
        wedge
    }

    pub fn expect(&mut self, word: &str) {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), word);
    }

    pub fn freeze(&self, name: &str) {
        self.freeze_with(name, &[]);
    }

    pub fn freeze_with(&self, name: &str, options: &[&str]) {
        // The second thread gets to its lock by itself.
        let freezer = PathBuf::from(env!("CARGO_BIN_EXE_cryo-inspect")).with_file_name("cryo-freeze");
        assert!(freezer.exists(), "{} is not built: cargo build --workspace --bins", freezer.display());
        let begun = Instant::now();
        let waits = || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().flatten();
            let mut calls = tasks.filter_map(|t| std::fs::read_to_string(t.path().join("syscall")).ok());
            calls.any(|call| FUTEX.iter().any(|number| call.starts_with(number)))
        };
        while !waits() {
            assert!(begun.elapsed() < LIMIT, "no thread waits for the lock");
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid = self.child.id().to_string();
        let mut freeze = Command::new(freezer);
        freeze.current_dir(self.dir.path()).args([&pid, "-o", name, "--leave-running", "--fd", "outside=null"]);
        freeze.args(options);
        let out = freeze.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    pub fn rows(&self, args: &[&str]) -> Vec<Value> {
        let text = self.text(args, 0);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn text(&self, args: &[&str], code: i32) -> String {
        stdout(&inspect(self.dir.path(), args, b""), code)
    }

    /// What a Python script in gdb prints about the core of the program.
    pub fn gdb(&self, program: &str, core: &str, script: &str) -> Vec<String> {
        std::fs::write(self.dir.path().join("script.py"), script).unwrap();
        let mut gdb = Command::new("gdb");
        gdb.current_dir(self.dir.path()).env("DEBUGINFOD_URLS", "").args(["-nx", "-batch"]);
        gdb.args(["-ex", "set backtrace past-main on", "-ex", "set backtrace past-entry on"]);
        let out = gdb.args(["-ex", "source script.py", program, core]).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        let words = String::from_utf8_lossy(&out.stderr);
        assert!(!words.contains("too small") && !words.contains("Error"), "{words}");
        text.lines().filter_map(|line| line.strip_prefix("> ")).map(str::to_owned).collect()
    }
}

/// Instruction pointers of all frames on the stack of every thread: gdb also tells of functions that were inlined, or left by a jump.
pub const FRAMES: &str = r#"
for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.ptid[1]):
    thread.switch()
    frame = gdb.newest_frame()
    while frame:
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            print(">", thread.ptid[1], hex(frame.pc()))
        frame = frame.older()
"#;
