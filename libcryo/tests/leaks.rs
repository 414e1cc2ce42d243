//! Every function of the library under valgrind (memcheck): nothing is lost, and nothing is read that was not written. Ignored where there is no valgrind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::process::Command;

use common::{Installed, good, here};
use libtest_mimic::{Arguments, Trial};

fn main() {
    let missing = !Command::new("valgrind").arg("--version").output().is_ok_and(|said| said.status.success());
    if missing {
        eprintln!(
            "NOT CHECKED: there is no valgrind here, so nobody knows whether libcryo leaks: apt-get install valgrind"
        );
    }
    let leaks = Trial::test("nothing_is_lost", || {
        nothing_is_lost();
        Ok(())
    });
    let seen = Trial::test("what_is_lost_is_seen", || {
        what_is_lost_is_seen();
        Ok(())
    });
    let trials = [leaks, seen].map(|trial| trial.with_ignored_flag(missing));
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
}

/// memcheck, of this process and not of the commands that it starts, with 99 as its exit status if something is wrong.
const MEMCHECK: [&str; 6] = [
    "--error-exitcode=99",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect,possible",
    "--errors-for-leak-kinds=definite,indirect,possible",
    "--child-silent-after-fork=yes",
    "--num-callers=30",
];

fn nothing_is_lost() {
    let installed = Installed::new();
    let program = installed.compile_at("tests/leaks.c", "leaks", false);
    let mut target = installed.command("sleep").arg("1000").spawn().unwrap();
    let mut valgrind = installed.command("valgrind");
    let out = valgrind.args(MEMCHECK).arg(&program).arg(target.id().to_string()).output().unwrap();
    let _ = target.kill();
    let _ = target.wait();
    assert!(good(&out).ends_with("done\n"), "{out:?}");
}

/// Without this a valgrind that finds nothing would be none the wiser.
fn what_is_lost_is_seen() {
    let installed = Installed::new();
    let source = std::fs::read_to_string(here("tests/leaks.c")).unwrap().replacen("free(path);", "path = 0;", 1);
    let changed = installed.dir.path().join("lost.c");
    std::fs::write(&changed, source).unwrap();
    let program = installed.compile_at(changed.to_str().unwrap(), "lost", false);
    let mut target = installed.command("sleep").arg("1000").spawn().unwrap();
    let mut valgrind = installed.command("valgrind");
    let out = valgrind.args(MEMCHECK).arg(&program).arg(target.id().to_string()).output().unwrap();
    let _ = target.kill();
    let _ = target.wait();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code() == Some(99) && said.contains("freeze_process"), "{said}");
}
