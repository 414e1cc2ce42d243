//! The system calls that are watched: one file per group, which says which they are and what one of them tells.
//!
//! What the kernel's own tables tell at any time (offsets, closings, masks) is not watched.

mod files;
mod memory;
mod processes;
mod signals;
mod sockets;
mod timers;

pub use files::PEER;

use cryo_tracee::Stopped;
use cryo_tracee::tracees::{Call, Filter, Stops, Watch, When};

use super::pids::table::{IOCTLS, Place, ROWS};
use super::record::What;

/// What a call tells, when its result is there, or when it is about to be made for those whose result is of no interest. Nothing if it failed.
type Tell = fn(name: &str, call: &Call, result: i64, thread: &Stopped) -> Option<What>;

/// All groups: their calls, and what these tell.
const GROUPS: [(&[Watch], Tell); 6] = [
    (files::WATCHED, files::tell),
    (sockets::WATCHED, sockets::tell),
    (signals::WATCHED, signals::tell),
    (timers::WATCHED, timers::tell),
    (processes::WATCHED, processes::tell),
    (memory::WATCHED, memory::tell),
];

/// A call whose result is of interest: it has two numbers, one for 64-bit code and one for 32-bit code; 0 is none.
const fn result(name: &'static str, native: u32, i386: u32) -> Watch {
    watch(name, native, i386, When::Always, true)
}

/// A call of which it is enough to know that it is made.
const fn made(name: &'static str, native: u32, i386: u32) -> Watch {
    watch(name, native, i386, When::Always, false)
}

const fn watch(name: &'static str, native: u32, i386: u32, when: When, result: bool) -> Watch {
    // No watched call has number 0 (read, restart_syscall).
    const fn number(n: u32) -> Option<u32> {
        if n == 0 { None } else { Some(n) }
    }
    let stops = if result { Stops::Twice } else { Stops::Once };
    Watch { name, native: number(native), i386: number(i386), when, stops }
}

/// The filter that stops all of them; and, if pids are translated, all that have one in them.
pub fn filter(pids: bool) -> Filter {
    let mut all: Vec<Watch> = if pids { rows() } else { Vec::new() };
    // The first that is of a number decides.
    all.extend(GROUPS.iter().flat_map(|(watched, _)| watched.iter().copied()));
    Filter::of(&all)
}

/// The calls that have pids in them, all of each number once. Of ioctl(2), which has so many, no others stop.
fn rows() -> Vec<Watch> {
    let mut all: Vec<Watch> = Vec::new();
    for row in ROWS {
        let when = if row.name == "ioctl" { When::In(1, IOCTLS) } else { When::Always };
        let native = row.number(false).filter(|n| all.iter().all(|watch| watch.native != Some(*n)));
        let i386 = row.number(true).filter(|n| all.iter().all(|watch| watch.i386 != Some(*n)));
        if native.is_some() || i386.is_some() {
            let stops = if matches!(row.place, Place::Process | Place::Thread) { Stops::Never } else { Stops::Twice };
            all.push(Watch { name: row.name, native, i386, when, stops });
        }
    }
    all
}

/// The names of those of 64-bit code.
pub fn names() -> Vec<&'static str> {
    GROUPS.iter().flat_map(|(watched, _)| watched.iter()).filter(|w| w.native.is_some()).map(|w| w.name).collect()
}

/// What a call of this thread tells.
pub fn tell(call: &Call, result: i64, thread: &Stopped) -> Option<What> {
    let (watch, tell) = find(call)?;
    // The filter lets more stop if pids are translated.
    if !watch.when.holds(&call.args) {
        return None;
    }
    tell(watch.name, call, result, thread)
}

/// Is the result of this call, which says that it is, of interest indeed?
pub fn matters(call: &Call, thread: &Stopped) -> bool {
    sockets::matters(call, thread)
}

/// The name of a call that is watched.
pub fn name(call: &Call) -> Option<&'static str> {
    find(call).map(|(watch, _)| watch.name)
}

fn find(call: &Call) -> Option<(&'static Watch, Tell)> {
    let number = |w: &Watch| if call.i386 { w.i386 } else { w.native };
    let find = |watched: &'static [Watch]| watched.iter().find(|w| number(w) == Some(call.number));
    GROUPS.iter().find_map(|(watched, tell)| find(watched).map(|w| (w, *tell)))
}

/// A descriptor, as an argument or a result.
fn fd(word: u64) -> i32 {
    word as i32
}

/// Two descriptors that the call has written to memory.
fn two_fds(thread: &Stopped, at: u64) -> Option<[i32; 2]> {
    let mut both = [0; 8];
    (thread.peek(at, &mut both) == 8).then(|| {
        [
            i32::from_le_bytes([both[0], both[1], both[2], both[3]]),
            i32::from_le_bytes([both[4], both[5], both[6], both[7]]),
        ]
    })
}

/// A word of the program's own width.
fn word(thread: &Stopped, call: &Call, at: u64, nth: u64) -> Option<u64> {
    let size = if call.i386 { 4 } else { 8 };
    let mut bytes = [0; 8];
    (thread.peek(at + nth * size, &mut bytes[..size as usize]) == size as usize).then(|| u64::from_le_bytes(bytes))
}
