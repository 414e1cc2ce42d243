//! When a family is frozen, where its sets are kept, and what becomes of it then.

use anyhow::Result;

use crate::cli::Run;
use crate::watch::Watched;

/// `overseer run`: returns the exit status.
pub fn run(run: &Run) -> Result<i32> {
    let watched = Watched::start(&run.program)?;
    Ok(cryo_tracee::foreground::wait_for(watched.pid(), None)?)
}
