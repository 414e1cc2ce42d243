//! The library as C and Python see it: built, installed, linked, run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{Installed, bins, good, here};
use fixtures::running::until;

const LIMIT: Duration = Duration::from_secs(60);

/// Waits until a file has these words.
fn says(path: &Path, words: &str) -> String {
    let mut text = String::new();
    until(words, LIMIT, || {
        text = std::fs::read_to_string(path).unwrap_or_default();
        Ok(text.contains(words))
    })
    .unwrap_or_else(|e| panic!("{e}: {text}"));
    text
}

#[test]
fn the_header_is_what_the_source_says() {
    let config = cbindgen::Config::from_file(here("cbindgen.toml")).unwrap();
    let sources = ["src/c.rs", "src/error.rs", "src/generation.rs"].map(here);
    let builder = sources.iter().fold(cbindgen::Builder::new().with_config(config), |b, s| b.with_src(s));
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    let path = here("include/cryo.h");
    if std::env::var_os("TRYCMD").is_some_and(|v| v == "overwrite") {
        std::fs::write(&path, &made).unwrap();
    }
    assert!(std::fs::read(&path).unwrap_or_default() == made, "include/cryo.h is older than src: cargo xtask bless");
}

#[test]
fn a_c_program_freezes_itself_and_returns_twice() {
    // What leaves the original running or stopped has no meaning for it, and no effect.
    for (fixed, ops) in [(false, "16"), (true, "17"), (true, "18")] {
        let installed = Installed::new();
        let program = installed.compile("itself", fixed);
        let out = installed.dir.path().join("out.txt");
        let file = std::fs::File::create(&out).unwrap();
        let mut run =
            installed.command(&program).arg(ops).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let pid = run.id();
        assert!(run.wait().unwrap().success(), "{}", says(&out, ""));
        let text = says(&out, "the original");
        assert_eq!(
            text,
            format!("step 0\nstep 1\nstep 2\nthe original: I am in {pid}.freeze, and have been thawed 0 times\n")
        );
        for _ in 0..2 {
            let thaw = bins().join("cryo-thaw");
            let thawed = installed.command(thaw).arg(pid.to_string()).args(["--pid", "new"]).output().unwrap();
            let _ = good(&thawed);
        }
        let text = says(&out, "a copy");
        assert!(text.contains("step 3\nstep 4\nstep 5\na copy: thawed 1 times\n"), "{text}");
    }
}

#[test]
fn python_freezes_and_thaws_another_process() {
    let installed = Installed::new();
    // Of a pipe it would have the thawer's in its place afterwards, which is read to its end here.
    let null = || std::process::Stdio::null();
    let mut target =
        installed.command("sleep").arg("1000").stdin(null()).stdout(null()).stderr(null()).spawn().unwrap();
    let mut python = installed.command("python3");
    let out = python.arg(here("examples/other.py")).arg(target.id().to_string()).output().unwrap();
    let _ = target.kill();
    let ended = target.wait().unwrap();
    let text = good(&out);
    assert!(text.starts_with("no such process: 3 "), "{text}");
    assert!(
        text.contains(&format!("frozen: {}.freeze\nin the ice: freeze, frore, frost\nthawed: ", target.id())),
        "{text}"
    );
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(9));
    let pid: i32 = text.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert!(["sleep\n", "cryo-init\n"].contains(&comm.as_str()), "{comm}");
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
}

#[test]
fn the_shared_library_shows_its_own_symbols_and_no_others() {
    let installed = Installed::new();
    let mut nm = Command::new("nm");
    nm.args(["-D", "--defined-only", "--with-symbol-versions"]).arg(installed.lib().join("libcryo.so.1"));
    let text = good(&nm.output().unwrap());
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next_back()).collect();
    names.retain(|name| *name != "CRYO_1");
    let map = std::fs::read_to_string(here("cryo.map")).unwrap();
    let wanted: Vec<&str> =
        map.lines().filter_map(|line| line.trim().strip_suffix(';')).filter(|n| !n.contains(['}', '*'])).collect();
    let mut wanted: Vec<String> = wanted.iter().map(|name| format!("{name}@@CRYO_1")).collect();
    wanted.sort_unstable();
    names.sort_unstable();
    assert_eq!(names, wanted);
}
