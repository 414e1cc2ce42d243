//! `HIST`: a file that is not where it was may be where an overseer has seen it: under a former name, or where the program opened it, by a path with links
//! that lead elsewhere on another machine.

use cryo_format::prim::Bytes;
use cryo_format::section::history::History;

use super::table::Table;

/// Other names of the file that descriptor `fd` of the process whose turn it is is open on, the latest first.
pub fn names<'a>(table: &Table<'a>, fd: u32, path: &[u8]) -> Vec<&'a Bytes> {
    let Some(history) = table.frost.get::<History>(table.process) else { return Vec::new() };
    let Ok(i) = history.descriptors.binary_search_by_key(&fd, |d| d.fd) else { return Vec::new() };
    let made = &history.descriptors[i];
    let mut names: Vec<&Bytes> = made.names.iter().rev().chain([&made.absolute]).collect();
    names.retain(|name| !name.is_empty() && name[..] != *path);
    names
}
