//! Bytes with a name, and the files of a set that stand one after another in one file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use cryo_format::image::{ReadAt, Sequential, open_file};
use cryo_format::read::Stream;
use cryo_format::{Error, Profile, Result};

/// Lays what a pipe brings down in a file without a name: pages, and rules that need a second look, can be read only from there.
pub fn spool(mut input: impl Read) -> Result<Vec<Source>> {
    let kept = tempfile::tempfile().and_then(|mut file| io::copy(&mut input, &mut file).map(|_| file));
    let file = kept.map_err(|e| {
        let what = format!("cannot keep standard input in a temporary file (TMPDIR says where): {e}");
        io_error("-", io::Error::new(e.kind(), what))
    })?;
    split(&file)
}

fn clone(file: &File) -> Result<File> {
    file.try_clone().map_err(|e| io_error("-", e))
}

/// An error of the system, with the file's name.
pub fn io_error(file: &str, error: io::Error) -> Error {
    let place = cryo_format::error::Place { file: file.to_owned(), kind: None, offset: 0 };
    Error::Io { place, error }
}

/// Bytes with a name: a file, or a part of one.
pub struct Source {
    /// What messages call it.
    pub name: String,
    file: File,
    start: u64,
    /// Number of bytes.
    pub len: u64,
}

impl ReadAt for Source {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        ReadAt::read_exact_at(&self.file, buf, self.start + offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }
}

impl Source {
    /// The same bytes once more.
    pub fn again(&self) -> Result<Self> {
        let file = self.file.try_clone().map_err(|e| io_error(&self.name, e))?;
        Ok(Self { name: self.name.clone(), file, start: self.start, len: self.len })
    }

    /// A regular file.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, name) = open_file(path)?;
        let about = file.metadata().map_err(|e| io_error(&name, e))?;
        Ok(Self { name, start: 0, len: about.len(), file })
    }
}

/// The files that stand one after another in `file`. Where one is broken, the rest belongs to it.
pub fn split(file: &File) -> Result<Vec<Source>> {
    let len = file.metadata().map_err(|e| io_error("-", e))?.len();
    let mut parts = Vec::new();
    let mut rest = Source { name: "-".to_owned(), file: clone(file)?, start: 0, len };
    while parts.is_empty() || rest.len > 0 {
        let (profile, end) = extent(&rest);
        let end = end.unwrap_or(rest.len);
        let name = profile.map_or_else(|| "-".to_owned(), |p| format!("-: .{p}"));
        parts.push(Source { name, file: clone(file)?, start: rest.start, len: end });
        rest.start += end;
        rest.len -= end;
    }
    Ok(parts)
}

/// What the file at the beginning of `source` is, and where it ends, if both can be seen.
fn extent(source: &Source) -> (Option<Profile>, Option<u64>) {
    let Ok(bytes) = Sequential::new(source) else { return (None, None) };
    let Ok(mut stream) = Stream::new(BufReader::with_capacity(1 << 16, bytes)) else { return (None, None) };
    let profile = stream.header().profile;
    loop {
        match stream.next() {
            Ok(Some(_)) => {}
            Ok(None) => return (Some(profile), Some(stream.offset())),
            Err(_) => return (Some(profile), None),
        }
    }
}
