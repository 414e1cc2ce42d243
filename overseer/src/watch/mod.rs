//! The family that is looked after: started or thawed, and frozen when the policy asks for it.
//!
//! It runs under a filter of system calls ([`calls`]), traced by the [`keeper`], which enters what it does into [`lists`] and, if that is wished, into a
//! [`log`]. What is known of one that is thawed is in its image ([`thawed`]).

pub mod attach;
pub mod calls;
pub mod compare;
pub mod keeper;
pub mod lists;
pub mod log;
mod pace;
pub mod pids;
pub mod record;
pub mod set_uid;
pub mod show;
pub mod thawed;

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use anyhow::{Result, bail};
use cryo_freeze::freeze::Target;
use cryo_freeze::{Frozen, Options};
use cryo_tracee::guardian;
use cryo_tracee::tracees::start;
use log::Log;
use rustix::fs::{MemfdFlags, memfd_create};
use set_uid::Rights;

use crate::cli::Watching;

/// A program that was started or thawed here, with all that descend from it.
pub struct Watched {
    pid: i32,
    child: i32,
}

impl Watched {
    /// Starts it as our child. Signals to us may be held back by then; to the program they come.
    pub fn start(words: &[OsString], watching: &Watching) -> Result<Self> {
        let log = watching.log.as_deref().map(Log::open).transpose()?;
        let rights = Rights::new(watching.set_uid);
        let files: Vec<_> = log.iter().map(Log::fd).chain(rights.fd()).collect();
        match start(words, &rights.filter(false), &files, |tracees| keeper::run(tracees, (log, rights))) {
            Ok(started) => Ok(Self { pid: started.pid, child: started.pid }),
            // What execve(2) said, for who looks for it.
            Err(cryo_tracee::Error::Sys { what, error }) => Err(anyhow::Error::from(error).context(what)),
            Err(e) => Err(e.into()),
        }
    }

    /// One that our child has thawed: its root is `pid`.
    pub fn thawed(pid: i32, child: i32) -> Self {
        Self { pid, child }
    }

    /// Its root.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whose end is waited for: the root, or the process that thawed it, which stands before it and ends as it does.
    pub fn child(&self) -> i32 {
        self.child
    }

    /// Freezes it into the set `name`. An error: nothing was frozen, it goes on.
    ///
    /// No signal to us disturbs it: what comes meanwhile is pending then. Who its members are is not told.
    pub fn freeze(&mut self, name: &Path, options: &Options) -> Result<Frozen> {
        // What the guardian says. Not a pipe, of which nobody knows how much it takes.
        let report = File::from(memfd_create("report", MemfdFlags::CLOEXEC)?);
        let work = || {
            let (lines, code) = match cryo_freeze::freeze(self.pid, Target::Name(name), options) {
                Ok(frozen) => (frozen.notes, 0),
                Err(e) => (vec![e.to_string()], 2),
            };
            let _ = (&report).write_all(lines.join("\0").as_bytes());
            code
        };
        let code = guardian::run_undisturbed(work);
        let mut text = Vec::new();
        (&report).rewind()?;
        (&report).read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        match code {
            Ok(0) => Ok(Frozen {
                path: Some(name.with_extension("freeze")),
                members: Vec::new(),
                remarks: Vec::new(),
                notes: text.split('\0').filter(|note| !note.is_empty()).map(str::to_owned).collect(),
            }),
            Ok(_) => bail!("{text}"),
            Err(e) => {
                // It may have been killed while the files of the set took their names.
                cryo_freeze::output::recover(name)?;
                Err(e.into())
            }
        }
    }
}
