//! `verify`: every promise of the format, checked.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use cryo_format::image::{ReadAt, Sequential, open_file};
use cryo_format::index::IndexEntry;
use cryo_format::limits::MAX_FINDINGS;
use cryo_format::read::Stream;
use cryo_format::set;
use cryo_format::text::message;
use cryo_format::verify::{Finding, verify, verify_together};
use cryo_format::{Kind, Profile};

use crate::Outcome;
use crate::ice::is_name;
use crate::text::{count, harmless, size};

/// A file, NAME.freeze with its siblings, or NAME for the three of them.
pub fn files(path: &Path, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    // The .freeze, which is last, is the one that people name: its absence is the error that they understand.
    let mut opened = Vec::new();
    let freeze = Profile::Freeze.extension();
    let of_a_set = is_name(path) || path.extension().is_some_and(|x| x == freeze);
    let mut missing = Vec::new();
    for file in sources(path).iter().rev() {
        if of_a_set && file.extension().is_none_or(|x| x != freeze) && !file.exists() {
            missing.push(file.clone());
            continue;
        }
        opened.push(Source::open(file)?);
    }
    opened.reverse();
    missing.reverse();
    let outcome = report(&opened, out)?;
    for file in &missing {
        let file = harmless(&file.to_string_lossy());
        writeln!(
            out,
            "not verified: {file} is not there, so nothing could be said of it, nor whether the three belong together"
        )?;
    }
    // Of a set that was asked for by its name all three were asked for.
    if is_name(path) && !missing.is_empty() {
        out.flush()?;
        anyhow::bail!("the set {} is not complete, and cannot be thawed", path.display());
    }
    Ok(outcome)
}

/// What comes through a pipe: one file, or the files of a set.
pub fn pipe(mut input: impl Read, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    // Rules that need a second look at the bytes cannot be checked on a pipe: they are laid down in a file without a name first.
    let mut file = tempfile::tempfile().context("cannot make a temporary file")?;
    io::copy(&mut input, &mut file).context("cannot keep standard input in a temporary file (TMPDIR says where)")?;
    report(&split(&file)?, out)
}

/// The files that `path` means.
fn sources(path: &Path) -> Vec<PathBuf> {
    if is_name(path) || path.extension().is_some_and(|x| x == Profile::Freeze.extension()) {
        return set::locate(path).map(|(_, file)| file).into();
    }
    vec![path.to_owned()]
}

/// Bytes with a name: a file, or a part of one.
struct Source {
    name: String,
    file: File,
    start: u64,
    len: u64,
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
    fn open(path: &Path) -> anyhow::Result<Self> {
        let (file, name) = open_file(path)?;
        let about = file.metadata().with_context(|| name.clone())?;
        Ok(Self { name, start: 0, len: about.len(), file })
    }
}

/// The files that stand one after another in `file`. Where one is broken, the rest belongs to it.
fn split(file: &File) -> anyhow::Result<Vec<Source>> {
    let len = file.metadata()?.len();
    let mut parts = Vec::new();
    let mut rest = Source { name: "-".to_owned(), file: file.try_clone()?, start: 0, len };
    while parts.is_empty() || rest.len > 0 {
        let (profile, end) = extent(&rest);
        let end = end.unwrap_or(rest.len);
        let name = profile.map_or_else(|| "-".to_owned(), |p| format!("-: .{p}"));
        parts.push(Source { name, file: file.try_clone()?, start: rest.start, len: end });
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

fn report(sources: &[Source], out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let named: Vec<(&Source, &str)> = sources.iter().map(|s| (s, s.name.as_str())).collect();
    let findings = if named.len() == Profile::ALL.len() {
        verify_together(&named)?
    } else {
        let each = named.iter().map(|(source, name)| verify(*source, name));
        each.collect::<Result<Vec<_>, _>>()?.concat()
    };
    if findings.is_empty() {
        sources.iter().try_for_each(|s| writeln!(out, "ok: {}", what(s)))?;
        if named.len() == Profile::ALL.len() {
            writeln!(out, "ok: the three belong together")?;
        }
        return Ok(Outcome::Good);
    }
    findings.iter().try_for_each(|f| finding(f, out))?;
    if findings.len() >= MAX_FINDINGS {
        writeln!(out, "there may be more: the first {MAX_FINDINGS} of a file are listed")?;
    }
    Ok(Outcome::Problems)
}

fn finding(f: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let (file, text) = (harmless(&f.file), message(&f.message));
    writeln!(out, "{file}: offset {:#x}: rule {}: {text}", f.offset, f.rule.0)
}

/// What was checked of a file that is right.
fn what(source: &Source) -> String {
    let name = harmless(&source.name);
    let Ok(image) = cryo_format::image::Image::new(source, source.name.clone()) else { return name };
    let (data, other): (Vec<&IndexEntry>, Vec<_>) = image.chunks().iter().partition(|e| e.kind == Kind::DATA);
    let pages = data.iter().map(|e| e.stored / image.header().page_size()).sum::<u64>();
    let sections = count(other.len() as u64, "section", "sections");
    if pages == 0 {
        return format!("{name}: {sections}, {}", size(source.len));
    }
    format!("{name}: {sections}, {}, {}", count(pages, "page", "pages"), size(source.len))
}
