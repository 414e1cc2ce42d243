//! The JSON dump (spec/json.md).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use cryo_format::dump::FileDump;
use cryo_format::image::open_file;

use crate::ice::siblings;
use crate::source::io_error;

/// The file; of a .freeze with siblings, an object with the files of the set by their profiles.
pub fn dump(path: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let files = siblings(path);
    let read = |path: &Path| {
        let (file, name) = open_file(path)?;
        FileDump::read(BufReader::new(file), name)
    };
    let dumps = files.iter().map(|(_, file)| read(file)).collect::<Result<Vec<_>, _>>()?;
    write(&dumps, out)
}

/// What comes through a pipe: one file, or the files of a set.
pub fn dump_pipe(mut input: impl BufRead, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut files = Vec::new();
    while files.is_empty() || !input.fill_buf().map_err(|e| io_error("-", e))?.is_empty() {
        files.push(FileDump::read(&mut input, "-")?);
    }
    write(&files, out)
}

fn write(files: &[FileDump], out: &mut dyn Write) -> anyhow::Result<()> {
    if let [only] = files {
        serde_json::to_writer_pretty(&mut *out, only)?;
    } else {
        let set: BTreeMap<String, &FileDump> = files.iter().map(|f| (f.header.profile.to_string(), f)).collect();
        serde_json::to_writer_pretty(&mut *out, &set)?;
    }
    writeln!(out)?;
    Ok(())
}
