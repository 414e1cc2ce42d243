//! Those who ask: for a copy, for what templates there are, and for the end of one.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use cryo_tracee::namespace::{self, Namespace, READY, RUNS, read_event};
use cryo_tracee::proc::{self, Status};
use cryo_tracee::{fds, signals};

use super::directory;
use super::message::{self, How, Request};
use crate::Result;
use crate::error::{About as _, RefusalKind, refuse};

/// Asks template `name` for a copy. Returns it when it runs, or the exit status where its holder has said why it does not.
pub fn copy(name: &str, how: How) -> Result<std::result::Result<Namespace, i32>> {
    let stream = directory::connect(name)?;
    message::send(&stream, &Request::Copy { how, lent: fds::inherited()? })?;
    let mut events = File::from(OwnedFd::from(stream));
    loop {
        // Who ends with our question unread resets the connection.
        match read_event(&mut events).ok().flatten() {
            Some((READY, _)) => {
                // From here on signals are the program's.
                signals::hold();
                events.write_all(b"g").about(|| format!("asking template {name}"))?;
            }
            Some((RUNS, pid)) => return Ok(Ok(Namespace::told_of(pid, events))),
            Some((namespace::FAILED, code)) => return Ok(Err(code)),
            // Of a copy that the holder has ended its init tells, too: what went wrong is still to be said.
            Some(_) => {}
            None => return refuse(RefusalKind::Internal, format!("the holder of template {name} has ended")),
        }
    }
}

/// What is told of a template.
pub struct About {
    /// What it is called.
    pub name: String,
    /// The process that holds the memory.
    pub pid: i32,
    /// Copies made so far.
    pub copies: u64,
    /// Memory that it takes by itself, in KiB: that of the process, and the pages that its holder keeps.
    pub memory: u64,
    /// The program's arguments.
    pub command: String,
}

/// All templates of this user, by their names.
pub fn all() -> Result<Vec<About>> {
    Ok(directory::names()?.into_iter().filter_map(|name| about(name).ok().flatten()).collect())
}

/// `None` if it has ended meanwhile.
fn about(name: String) -> Result<Option<About>> {
    let mut stream = directory::connect(&name)?;
    message::send(&stream, &Request::About)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).about(|| format!("asking template {name}"))?;
    let mut words = text.split_whitespace();
    let pid = words.next().and_then(|word| word.parse().ok());
    let copies = words.next().and_then(|word| word.parse().ok());
    let kept = words.next().and_then(|word| word.parse().ok());
    let (Some(pid), Some(copies), Some(kept)) = (pid, copies, kept) else { return Ok(None) };
    let memory = Status::of(pid)?.number("VmRSS").unwrap_or(0).saturating_add(kept);
    let command = proc::bytes(pid, "cmdline")?;
    let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
    Ok(Some(About { name, pid, copies, memory, command }))
}

/// Ends a template. Returns when it is gone; its copies go on.
pub fn end(name: &str) -> Result<()> {
    let mut stream = directory::connect(name)?;
    message::send(&stream, &Request::End)?;
    stream.read_to_string(&mut String::new()).about(|| format!("ending template {name}"))?;
    Ok(())
}
