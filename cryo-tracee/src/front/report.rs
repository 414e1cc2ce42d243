//! What a command says, as lines of JSON for the program that started it, in place of words on stderr.
//!
//! Each line is an object: `{"note": "..."}` for what a person would read on the way, and last what came of it: `{"frozen": PATH}`, `{"thawed": PID}`, or
//! `{"error": "...", "kind": "Busy"}` with the name of a [`RefusalKind`], or null where nothing was refused but something failed.

use std::fs::File;
use std::io::Write;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::error::Context;
use crate::{RefusalKind, Result};

static REPORT: OnceLock<File> = OnceLock::new();

/// From here on all that is said goes to descriptor `fd`. No process that is started has it.
pub fn to(fd: i32) -> Result<()> {
    let about = || format!("--report-fd {fd}");
    if fd < 0 {
        return Err(crate::Error::sys(about(), std::io::Error::from_raw_os_error(libc::EBADF)));
    }
    // SAFETY: a number that is not -1, used for one call, which fails if nothing is open under it.
    let given = unsafe { BorrowedFd::borrow_raw(fd) };
    rustix::io::fcntl_setfd(given, rustix::io::FdFlags::CLOEXEC).about(about)?;
    let own = rustix::io::fcntl_dupfd_cloexec(given, 3).about(about)?;
    let _ = REPORT.set(own.into());
    Ok(())
}

/// Is there somebody who reads it?
pub fn is_wanted() -> bool {
    REPORT.get().is_some()
}

/// What came of it.
pub fn outcome(key: &str, value: &Value) {
    line(&json!({ key: value }));
}

/// That nothing came of it, and why.
pub fn error(text: &str, kind: Option<RefusalKind>) {
    line(&json!({ "error": text, "kind": kind.map(|kind| format!("{kind:?}")) }));
}

/// One line of words for people: on stderr, in one write, so that lines of programs that run at once do not mix; or in the report.
pub fn say(text: &str) {
    if is_wanted() {
        line(&json!({ "note": text }));
    } else {
        let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
    }
}

fn line(value: &Value) {
    if let Some(mut report) = REPORT.get() {
        let _ = report.write_all(format!("{value}\n").as_bytes());
    }
}
