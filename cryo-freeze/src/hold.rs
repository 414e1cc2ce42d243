//! `cryo-freeze --hold`: the set goes down a pipe into a `cryo-thaw --hold`, and never into a file.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context;
use cryo_freeze::Confirm;
use cryo_tracee::signals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A `cryo-thaw --hold` that reads what we write.
pub struct Hold {
    child: Mutex<Child>,
    /// What the template is called, or how the command has ended without one.
    name: OnceLock<Result<String, ExitStatus>>,
}

impl Hold {
    /// Starts it; `name` is what the template is to be called (empty: as the program's pid), and it has these further options. What is returned last is where the set goes.
    pub fn start(name: &str, options: &[OsString]) -> anyhow::Result<(Arc<Self>, File)> {
        let mut command = command();
        command.arg(if name.is_empty() { "--hold".to_owned() } else { format!("--hold={name}") });
        command.args(options).arg("-").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = signals::spawn(&mut command).context("starting cryo-thaw")?;
        let pipe = child.stdin.take().context("cryo-thaw has no standard input")?;
        Ok((Arc::new(Self { child: Mutex::new(child), name: OnceLock::new() }), OwnedFd::from(pipe).into()))
    }

    /// Waits until the template stands, and returns its name; or says that there will be none. (Why not, the command has said.)
    pub fn name(&self) -> Result<&str, String> {
        let heard = || {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            let mut name = String::new();
            let read = child.stdout.take().map(|mut out| out.read_to_string(&mut name));
            let status = child.wait().unwrap_or_default();
            if status.success() && matches!(read, Some(Ok(1..))) { Ok(name.trim_end().to_owned()) } else { Err(status) }
        };
        let name = self.name.get_or_init(heard).as_ref();
        name.map(String::as_str)
            .map_err(|status| format!("no template was made (cryo-thaw: {status}), the program goes on"))
    }

    /// The original ends only when the template stands.
    pub fn confirm(self: &Arc<Self>) -> Confirm {
        let hold = self.clone();
        Confirm::by(move |_| hold.name().map(drop))
    }

    /// The freeze has failed: what is in the `pipe` is all. Nothing stays of the template; and if there was none to be had, that is what is to be said.
    pub fn give_up(&self, pipe: File) -> Option<String> {
        if let Some(Ok(name)) = self.name.get() {
            let _ = command().args(["--end", name]).status();
            return None;
        }
        // Without a reader it has an error.
        let mut end = [PollFd::new(&pipe, PollFlags::empty())];
        let gone = poll(&mut end, Some(&Timespec::default())).is_ok_and(|n| n > 0);
        if !gone {
            let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).kill();
        }
        drop(pipe);
        self.name().err().filter(|_| gone)
    }
}

/// The thawer is where we are; else in the path.
fn command() -> Command {
    let beside = std::env::current_exe().map(|path| path.with_file_name("cryo-thaw"));
    Command::new(beside.ok().filter(|path| path.is_file()).unwrap_or("cryo-thaw".into()))
}
