//! The original, where the set comes straight from its freezer on this machine: `cryo-freeze P -o - | cryo-thaw -`.
//!
//! It holds the ids that the program shall have again, and ends only when its freezer knows that the whole set was taken. So the whole set is taken
//! before the ids are decided on.

use std::time::{Duration, Instant};

use cryo_tracee::proc::Status;

use crate::Result;
use crate::error::About;
use crate::ice::{Ice, Pages};
use crate::ids;
use crate::options::{Options, Pid};

/// How long a freezer that knows that all was taken may need to end the original, and its parent to reap it.
const LIMIT: Duration = Duration::from_secs(5);

/// Lets the original of a set that comes down a pipe end, where that frees ids which may be chosen. One that goes on (`--leave-running`) is not
/// waited for.
pub fn let_end(ice: &mut Ice, options: &Options) -> Result<()> {
    let (_, process) = ice.root()?;
    let Ok(pid) = i32::try_from(process.pid) else { return Ok(()) };
    if !matches!(options.pid, Pid::Auto | Pid::Same) || !ids::may_choose() || !is_being_frozen(pid) {
        return Ok(());
    }
    let Some(Pages::Pipe { stream, .. }) = &mut ice.pages else { return Ok(()) };
    stream.input_mut().read_ahead(&mut || is_being_frozen(pid)).about(|| "reading the set ahead".into())?;
    let begun = Instant::now();
    while (is_being_frozen(pid) || is_zombie(pid)) && begun.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Is it in the hands of a cryo-freeze?
fn is_being_frozen(pid: i32) -> bool {
    let tracer = Status::of(pid).ok().and_then(|s| s.number("TracerPid")).and_then(|t| i32::try_from(t).ok());
    let tracer = tracer.filter(|t| *t != 0).and_then(|t| Status::of(t).ok());
    tracer.is_some_and(|t| t.text("Name") == Some("cryo-freeze"))
}

fn is_zombie(pid: i32) -> bool {
    Status::of(pid).is_ok_and(|s| s.text("State").is_some_and(|s| s.starts_with('Z')))
}
