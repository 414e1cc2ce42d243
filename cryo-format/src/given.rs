//! What a file is that a person gives in the place of a set: to be read all the same, or to be told by its name.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::compressed::compressed_by;
use crate::header::{MAGIC, Profile};
use crate::read::Stream;

/// What a file begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// One of the three files.
    Ours,
    /// The three files one after another in one: what `cryo-freeze -o - > FILE` makes.
    Saved,
    /// Compressed by this program.
    Compressed(&'static str),
    /// Anything else, or nothing.
    Other,
}

/// Looks at a file. What cannot be read is anything else.
pub fn look(path: &Path) -> Given {
    if !path.is_file() {
        return Given::Other;
    }
    let mut first = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut first));
    if read.is_err() {
        return Given::Other;
    }
    if let Some(program) = compressed_by(&first) {
        return Given::Compressed(program);
    }
    match first == MAGIC {
        true if is_saved(path).unwrap_or(false) => Given::Saved,
        true => Given::Ours,
        false => Given::Other,
    }
}

/// Is it a .frore, with more behind its end? A .frore is small: it is read.
fn is_saved(path: &Path) -> Option<bool> {
    let mut stream = Stream::new(BufReader::new(File::open(path).ok()?)).ok()?;
    if stream.header().profile != Profile::Frore {
        return Some(false);
    }
    while stream.next().ok()?.is_some() {}
    Some(stream.into_inner().read(&mut [0]).ok()? == 1)
}

/// How a person gets at what `program` has compressed into the file at `path`, for the tool that reads `command`.
pub fn unpack(path: &Path, program: &str, command: &str) -> String {
    let file = quoted(path);
    // One of the three files, NAME.freeze.zst, or a set in one.
    if path.file_stem().is_some_and(|stem| {
        Path::new(stem).extension().is_some_and(|x| Profile::ALL.iter().any(|p| x == p.extension()))
    }) {
        return format!(
            "{}: it is compressed by {program}: unpack the three files of the set first: {program} -d {file}",
            path.display()
        );
    }
    format!("{}: it is compressed by {program}: use {program} -dc {file} | {command} -", path.display())
}

/// The command that this process is, as a shell takes it.
pub fn typed() -> String {
    std::env::args_os().map(|word| quoted(Path::new(&word))).collect::<Vec<_>>().join(" ")
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if !path.is_empty() && path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_split_it() {
        assert_eq!(quoted(Path::new("/a/b-1.freeze")), "/a/b-1.freeze");
        assert_eq!(quoted(Path::new("a b'c")), r"'a b'\''c'");
    }

    #[test]
    fn a_compressed_file_is_told_by_its_program() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("set.zst");
        std::fs::write(&path, b"\x28\xb5\x2f\xfd....").unwrap();
        assert_eq!(look(&path), Given::Compressed("zstd"));
        let advice = format!("use zstd -dc {} | cryo-thaw -", quoted(&path));
        assert!(unpack(&path, "zstd", "cryo-thaw").ends_with(&advice));
        assert!(unpack(&dir.path().join("x.freeze.zst"), "zstd", "cryo-thaw").contains("the three files"));
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        assert_eq!(look(&path), Given::Other);
    }
}
