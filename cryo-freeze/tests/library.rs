//! What a program gets that calls the library: kinds of refusals that it can match, and numbers for a progress of its own.

#![allow(clippy::unwrap_used)] // also outside of test functions

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use cryo_format::section::outside::{FdRule, Instead};
use cryo_freeze::freeze::Target;
use cryo_freeze::{Afterwards, Children, Error, Options, Progress, RefusalKind, Refusals, freeze};

/// A shell that has run a script, and waits; it ends with this.
struct Shell(Child);

/// What whoever runs the tests has left open is not what they are about.
const CLEAN: &str = "for fd in /proc/$$/fd/*; do fd=${fd##*/}; [ $fd -le 2 ] || eval \"exec $fd>&-\"; done";

impl Shell {
    fn that(script: &str) -> Self {
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("{CLEAN}\n{script}\necho ready; read -u ${{in:-0}} wait")]);
        let mut shell =
            Self(shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(shell.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        shell
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // What has ended already need not be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn refused(pid: i32, name: &Path, options: &Options) -> Error {
    freeze(pid, Target::Name(name), options).unwrap_err()
}

#[test]
fn a_caller_can_tell_what_stands_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("set");
    let kind = |shell: &Shell, options: &Options| refused(shell.pid(), &name, options).kind();
    let plain = Options::default();

    let parent = Shell::that("sleep 60 <&- >&- 2>&- &");
    let alone = Options { children: Children::Refuse, ..Options::default() };
    assert_eq!(kind(&parent, &alone), Some(RefusalKind::Children));

    let one = Shell::that("exec 7>&2 2>&-");
    let rule = |fd, instead| Options { fds: vec![FdRule { fd: Some(fd), instead }], ..Options::default() };
    assert_eq!(kind(&one, &plain), Some(RefusalKind::Descriptor));
    assert_eq!(kind(&one, &rule(99, Instead::Null)), Some(RefusalKind::Argument));

    let two = Shell::that("in=8; exec 7>&2 2>&- 8<&0 0<&-");
    match refused(two.pid(), &name, &plain) {
        Error::Several(Refusals { all, answer, add }) => {
            assert!(all.len() == 2 && all.iter().all(|one| one.kind == RefusalKind::Descriptor), "{all:?}");
            assert!(answer.contains("--fd outside=null") && add == Some("--fd outside=null"), "{answer} {add:?}");
        }
        other => panic!("{other:?}"),
    }

    std::fs::write(name.with_extension("frost"), "").unwrap();
    assert_eq!(kind(&one, &plain), Some(RefusalKind::Output));
}

#[test]
fn a_process_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let error = refused(ended.id() as i32, &dir.path().join("set"), &Options::default());
    assert_eq!(error.kind(), Some(RefusalKind::NoProcess), "{error}");
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn how_far_it_has_come() {
    let dir = tempfile::tempdir().unwrap();
    let shell = Shell::that("exec 2>/dev/null");
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    let progress = Progress::to(move |done, total| list.lock().unwrap().push((done, total)));
    let options = Options { afterwards: Afterwards::Run, progress, ..Options::default() };
    freeze(shell.pid(), Target::Name(&dir.path().join("set")), &options).unwrap();
    let told = told.lock().unwrap();
    let (done, total) = told.last().unwrap();
    assert!(done == total && *total > 0, "{told:?}");
    assert!(told.is_sorted_by_key(|(done, _)| done) && told.iter().all(|(_, t)| t == total), "{told:?}");
}
