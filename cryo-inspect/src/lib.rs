//! Looks into the ice: what a frozen process was, without thawing it, on any machine.
//!
//! Every command is a file of [`command`], with examples in its `--help`:
//!
//! ```text
//! cryo-inspect dump NAME.freeze                  all of it, for people; with NAME.frore and NAME.frost, where they are there
//! cryo-inspect dump NAME.freeze --format json    every field (spec/json.md); of a set {"freeze": .., "frore": .., "frost": ..}
//! cryo-inspect verify NAME                       every promise of the format, in all three files and between them
//! cryo-inspect info | map | regs | ... NAME      one question each, as a table, JSON, JSON lines or CSV
//! cryo-inspect bt | hexdump | search | ... NAME  memory
//! cryo-inspect diff A B                          what changed
//! cryo-freeze 4242 -o - | cryo-inspect info -    from a pipe
//! ```
//!
//! Printers ([`print`](mod@print)) and commands make [blocks](block), which [`draw`] draws. One opened set, [`ice`], indexed by owner, serves all; [`space`] is the
//! memory of a process as it saw it, [`modules`] the files in it, [`unwind`] the way back along a stack, [`rewrite`] a set written anew, [`tui`] the keyboard's
//! way through all of it.
//!
//! | exit status | |
//! |---|---|
//! | 0 | all is well, something was found, two images are the same |
//! | 1 | something in the image is broken (standard error, or `verify`, says what), nothing was found, two images differ, or it would not thaw here |
//! | 2 | it could not be read, or was used wrongly |
//!
//! Data goes to standard output, words to standard error; a reader that closes the pipe early is no error. Colours are for terminals only
//! (`NO_COLOR` and `CLICOLOR` are heeded), and nothing in an image reaches the terminal as a control character.
//!
//! What the text says of memory: *stored* pages are in the image and nowhere else, pages *as file* are in the image and the same in the
//! mapped file, *zero* pages take no room; of all others the content is what is mapped there.
//!
//! # A new section
//!
//! Its printer is `src/print/NAME.rs`, an implementation of [`print::Print`]: a heading, and `print`, which makes [blocks](block). The table
//! `for_each_section!` of `cryo-format` dispatches to it; without it nothing compiles. Where it stands in the dump follows from the
//! scope that the table gives it: beside the image, in its process, in its thread, or beside the descriptors that refer to it. Then an
//! example of it goes into `tests/common/mod.rs` (a test says so), and `cargo xtask bless` records what it looks like.

// Names of the kernel's and of registers are words of the prose here, as in the manual.
#![allow(clippy::doc_markdown)]
// Lines are put together piece by piece all over this crate; clarity is worth an allocation.
#![allow(clippy::format_push_string)]

pub mod address;
pub mod arch;
pub mod block;
pub mod command;
pub mod convert;
pub mod diff;
pub mod draw;
pub mod dump;
pub mod elf;
pub mod ice;
pub mod json;
pub mod lines;
pub mod modules;
pub mod names;
pub mod page_count;
pub mod parallel;
pub mod people;
pub mod print;
pub mod rewrite;
pub mod scan;
pub mod schema;
pub mod source;
pub mod space;
pub mod target;
pub mod text;
pub mod tui;
pub mod unwind;
pub mod verify;

use std::sync::{Mutex, PoisonError};

/// What the command exits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// 0: all is well.
    Good,
    /// 1: it was read, and something in it is broken.
    Problems,
}

/// Lines that wait, while the terminal shows something else.
static HELD: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// A line on standard error, in one write: other programs may write there too.
pub fn say(message: &str) {
    use std::io::Write;
    let line = cryo_format::text::message(message);
    if let Some(held) = HELD.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        return held.push(line);
    }
    let _ = std::io::stderr().write_all(format!("cryo-inspect: {line}\n").as_bytes());
}

/// From now on what is said waits.
pub fn hold() {
    *HELD.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
}

/// From now on it is said again; what has waited is the caller's.
pub fn release() -> Vec<String> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
}
