//! The family that is looked after: started, and frozen when the policy asks for it.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use cryo_freeze::freeze::Target;
use cryo_freeze::{Frozen, Options};

/// A program that was started here, with all that descend from it.
pub struct Watched {
    pid: i32,
}

impl Watched {
    /// Starts it as our child.
    pub fn start(words: &[OsString]) -> Result<Self> {
        let (program, arguments) = words.split_first().context("no program")?;
        let child = Command::new(program).args(arguments).spawn();
        let child = child.with_context(|| format!("starting {}", Path::new(program).display()))?;
        Ok(Self { pid: child.id() as i32 })
    }

    /// Its root.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Freezes it into the set `name`. An error: nothing was frozen, it goes on.
    pub fn freeze(&mut self, name: &Path, options: &Options) -> Result<Frozen> {
        Ok(cryo_freeze::freeze(self.pid, Target::Name(name), options)?)
    }
}
