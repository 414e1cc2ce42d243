//! The overseer: starts a program, stands by it until it ends, and freezes it when it is time.
//!
//! [`watch`] is the family that is looked after; [`policy`] decides when it is frozen, where its sets are kept, and what becomes of it then.

pub mod cli;
pub mod policy;
pub mod watch;

/// `overseer show`: a number is a process, all else a directory (`./42` one that is called so).
pub fn show(show: &cli::Show) -> anyhow::Result<()> {
    let as_json = show.format == cli::Format::Json;
    match show.what.to_str().and_then(|text| text.parse::<i32>().ok()) {
        Some(pid) => watch::show::show(pid, as_json),
        None => policy::show::show(&show.what, as_json),
    }
}

/// A line for the person who started the overseer. It may quote what a program or an image says, and so anything at all: escaped and cut.
#[allow(clippy::disallowed_methods)] // this is the place
pub fn say(text: &str) {
    cryo_tracee::say(&format!("overseer: {}", cryo_format::text::message(text)));
}
