//! The JSON dump (spec/json.md), and how any JSON is written.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, ensure};
use cryo_format::dump::{ChunkDump, FileDump};
use cryo_format::image::open_file;
use cryo_format::section::AnySection;
use serde::Serialize;

use crate::draw::Format;
use crate::ice::siblings;
use crate::source::io_error;

/// JSON in which nothing steers a terminal: what is not visible in a text, and what turns its direction, is a `\u` escape. The same JSON to whoever
/// reads it.
pub fn write(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(Escaped(out), value).map_err(Into::into)
}

/// [`write()`], for people's eyes, with a line's end.
pub fn write_pretty(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(Escaped(&mut *out), value)?;
    writeln!(out)
}

/// Outside of strings JSON is ASCII; within them serde_json writes whole characters, and has escaped those below 0x20 already.
struct Escaped<'a>(&'a mut dyn Write);

impl Write for Escaped<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "JSON is UTF-8"));
        };
        let mut rest = text;
        let hidden = |c: char| c != '\n' && cryo_format::text::is_hidden(c);
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| hidden(*c)) {
            self.0.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(self.0, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.write_all(rest.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The file; of a .freeze with siblings, the files of the set.
pub fn read(path: &Path) -> anyhow::Result<Vec<FileDump>> {
    let read = |path: &Path| {
        let (file, name) = open_file(path)?;
        FileDump::read(BufReader::new(file), name)
    };
    Ok(siblings(path).iter().map(|(_, file)| read(file)).collect::<Result<_, _>>()?)
}

/// What comes through a pipe: one file, or the files of a set.
pub fn read_pipe(mut input: impl BufRead) -> anyhow::Result<Vec<FileDump>> {
    let mut files: Vec<FileDump> = Vec::new();
    while files.is_empty() || !input.fill_buf().map_err(|e| io_error("-", e))?.is_empty() {
        let file = FileDump::read(&mut input, "-")?;
        let profile = file.header.profile;
        ensure!(
            files.iter().all(|f| f.header.profile != profile),
            "-: there are two files .{profile}: one set at a time, or `dump` each file by itself"
        );
        files.push(file);
    }
    Ok(files)
}

/// Leaves the chunks of these processes and threads; all if there are none.
pub fn choose(files: &mut [FileDump], pids: &[u64], tids: &[u64]) -> anyhow::Result<()> {
    if pids.is_empty() && tids.is_empty() {
        return Ok(());
    }
    let (mut pid_of, mut thread_of) = (BTreeMap::new(), BTreeMap::new());
    for chunk in files.iter().flat_map(|f| &f.chunks) {
        match chunk.payload.clone().latest() {
            AnySection::Process(p) => drop(pid_of.insert(chunk.owner, p.pid)),
            AnySection::Thread(t) => drop(thread_of.insert(chunk.owner, (t.process, t.tid))),
            _ => {}
        }
    }
    for pid in pids {
        ensure!(
            pid_of.values().any(|p| p == pid),
            "there is no process {pid} in these files (they are told in the .frost)"
        );
    }
    for tid in tids {
        ensure!(
            thread_of.values().any(|(_, t)| t == tid),
            "there is no thread {tid} in these files (they are told in the .frost)"
        );
    }
    let processes: BTreeSet<u64> =
        pid_of.iter().filter(|(_, pid)| pids.is_empty() || pids.contains(pid)).map(|(owner, _)| *owner).collect();
    let threads = thread_of
        .iter()
        .filter(|(_, (process, tid))| processes.contains(process) && (tids.is_empty() || tids.contains(tid)));
    let mut chosen: BTreeSet<u64> = threads.clone().map(|(owner, _)| *owner).collect();
    // Of a thread that was asked for, what is its process's is asked for too.
    chosen.extend(if tids.is_empty() { processes } else { threads.map(|(_, (process, _))| *process).collect() });
    for file in files {
        file.chunks.retain(|c| chosen.contains(&c.owner));
    }
    Ok(())
}

/// One file by itself, several by their profiles; in lines, one for each chunk.
pub fn draw(files: &[FileDump], format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
    match (format, files) {
        (Format::Jsonl, _) => {
            for row in files.iter().flat_map(rows) {
                write(&row, out)?;
                writeln!(out)?;
            }
        }
        (Format::Csv, _) => {
            let mut csv = csv::Writer::from_writer(&mut *out);
            csv.write_record(HEADS)?;
            for row in files.iter().flat_map(rows) {
                let row = serde_json::to_value(&row).context("a chunk as JSON")?;
                csv.write_record(HEADS.map(|head| crate::draw::rows::csv_cell(row.get(head))))?;
            }
            csv.flush()?;
        }
        (_, [only]) => write_pretty(only, out)?,
        _ => {
            let set: BTreeMap<String, &FileDump> = files.iter().map(|f| (f.header.profile.to_string(), f)).collect();
            write_pretty(&set, out)?;
        }
    }
    Ok(())
}

/// The heads of a chunk's row.
const HEADS: [&str; 10] = ["file", "kind", "version", "flags", "owner", "offset", "stored", "raw", "crc", "payload"];

/// A chunk with the file that it is in.
#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    #[serde(flatten)]
    chunk: &'a ChunkDump,
}

fn rows(file: &FileDump) -> impl Iterator<Item = Row<'_>> {
    file.chunks.iter().map(|chunk| Row { file: &file.file, chunk })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_steers_no_terminal_and_stays_the_same() {
        let text = "a\u{7f}\u{9b}31m\u{202e}\u{feff}\u{e0041}ü\\\n\u{1b}";
        let mut out = Vec::new();
        write(&text, &mut out).unwrap();
        let written = String::from_utf8(out).unwrap();
        assert_eq!(written, "\"a\\u007f\\u009b31m\\u202e\\ufeff\\udb40\\udc41ü\\\\\\n\\u001b\"");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }
}
