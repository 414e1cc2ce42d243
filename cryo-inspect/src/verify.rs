//! `verify`: every promise of the format, checked.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cryo_format::image::Image;
use cryo_format::index::IndexEntry;
use cryo_format::limits::MAX_FINDINGS;
use cryo_format::section::Section;
use cryo_format::section::extents::Extents;
use cryo_format::set;
use cryo_format::text::message;
use cryo_format::verify::{Finding, verify, verify_together};
use cryo_format::{Kind, Profile};

use crate::Outcome;
use crate::ice::is_name;
use crate::source::{Source, spool};
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
pub fn pipe(input: impl Read, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    report(&spool(input)?, out)
}

/// The files that `path` means.
fn sources(path: &Path) -> Vec<PathBuf> {
    if is_name(path) || path.extension().is_some_and(|x| x == Profile::Freeze.extension()) {
        return set::locate(path).map(|(_, file)| file).into();
    }
    vec![path.to_owned()]
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
    let Ok(image) = Image::new(source, source.name.clone()) else { return name };
    let (data, other): (Vec<&IndexEntry>, Vec<_>) = image.chunks().iter().partition(|e| e.kind == Kind::DATA);
    let pages = data.iter().map(|e| e.stored / image.header().page_size()).sum::<u64>();
    let sections = count(other.len() as u64, "section", "sections");
    if pages == 0 {
        return format!("{name}: {sections}, {}", size(source.len));
    }
    let unproved = match without_digest(&image) {
        0 => String::new(),
        n => format!(
            "; {} without a digest: of these only the checksums were compared (--no-digest)",
            count(n, "page", "pages")
        ),
    };
    format!("{name}: {sections}, {}, {}{unproved}", count(pages, "page", "pages"), size(source.len))
}

/// Pages for which the image has no BLAKE3.
fn without_digest(image: &Image<&Source>) -> u64 {
    let announced = image.chunks().iter().filter(|e| e.kind == Extents::KIND);
    let sections = announced.filter_map(|e| image.section::<Extents>(e).ok());
    sections.filter(|x| x.digest.0 == [0; 32]).map(|x| x.data_pages).sum()
}
