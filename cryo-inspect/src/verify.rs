//! Every promise of the format, checked.

mod parents;

use std::io::{Read, Write};
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

use serde_json::Value;

use crate::Outcome;
use crate::block::{Block, Cell, Table};
use crate::command::{Format, draw};
use crate::ice::is_name;
use crate::source::{Source, spool};
use crate::text::{count, harmless, size};

/// A file, NAME.freeze with its siblings, or NAME for the three of them.
pub fn files(path: &Path, format: Format, out: &mut dyn Write) -> anyhow::Result<Outcome> {
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
    let mut report = Report::of(&opened)?;
    for file in &missing {
        report.missing(
            &file.to_string_lossy(),
            "is not there, so nothing could be said of it, nor whether the three belong together",
        );
    }
    // Of a set that was asked for by its name all three were asked for.
    report.incomplete = is_name(path) && !missing.is_empty();
    parents::verify(&opened, path.parent().unwrap_or(Path::new("")), &mut report)?;
    report.draw(&path.display().to_string(), format, out)
}

/// What comes through a pipe: one file, or the files of a set.
pub fn pipe(input: impl Read, format: Format, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let sources = spool(input)?;
    let mut report = Report::of(&sources)?;
    parents::verify(&sources, Path::new(""), &mut report)?;
    report.draw("on standard input", format, out)
}

/// The files that `path` means.
fn sources(path: &Path) -> Vec<PathBuf> {
    if is_name(path) || path.extension().is_some_and(|x| x == Profile::Freeze.extension()) {
        return set::locate(path).map(|(_, file)| file).into();
    }
    vec![path.to_owned()]
}

/// What was found: lines for people, rows for programs.
struct Report {
    lines: Vec<String>,
    rows: Table,
    broken: bool,
    /// Is something not there without which it does not thaw?
    incomplete: bool,
}

impl Report {
    fn of(sources: &[Source]) -> anyhow::Result<Self> {
        let named: Vec<(&Source, &str)> = sources.iter().map(|s| (s, s.name.as_str())).collect();
        let whole = named.len() == Profile::ALL.len();
        let findings = if whole {
            verify_together(&named)?
        } else {
            let each = named.iter().map(|(source, name)| verify(*source, name));
            each.collect::<Result<Vec<_>, _>>()?.concat()
        };
        let rows = Table::new(&["file", "status", "offset", "rule", "what"]);
        let mut report = Self { lines: Vec::new(), rows, broken: false, incomplete: false };
        if findings.is_empty() {
            for source in sources {
                report.fine(&harmless(&source.name), &what(source));
            }
            if whole {
                report.lines.push("ok: the three belong together".to_owned());
            }
        }
        for finding in &findings {
            report.broken(finding);
        }
        if findings.len() >= MAX_FINDINGS {
            report.lines.push(format!("there may be more: the first {MAX_FINDINGS} of a file are listed"));
        }
        Ok(report)
    }

    fn row(&mut self, file: &str, status: &str, place: [Value; 2], what: &str) {
        let [offset, rule] = place.map(|v| Cell::new("", v));
        self.rows.row([file.into(), status.into(), offset, rule, Cell::from(what)]);
    }

    fn fine(&mut self, file: &str, what: &str) {
        self.lines.push(format!("ok: {file}: {what}"));
        self.row(file, "ok", [Value::Null, Value::Null], what);
    }

    fn broken(&mut self, f: &Finding) {
        self.broken = true;
        let (file, text) = (harmless(&f.file), message(&f.message));
        self.lines.push(format!("{file}: offset {:#x}: rule {}: {text}", f.offset, f.rule.0));
        self.row(&file, "broken", [f.offset.into(), f.rule.0.into()], &text);
    }

    fn missing(&mut self, file: &str, what: &str) {
        let (file, what) = (harmless(file), message(what));
        self.lines.push(format!("not verified: {file} {what}"));
        self.row(&file, "missing", [Value::Null, Value::Null], &what);
    }

    /// Shows it; `set` is what was asked for.
    fn draw(self, set: &str, format: Format, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        match format {
            Format::Table => self.lines.iter().try_for_each(|line| writeln!(out, "{line}"))?,
            _ => draw(&[Block::Table(self.rows)], format, out)?,
        }
        if self.incomplete {
            out.flush()?;
            anyhow::bail!("the set {set} is not complete, and cannot be thawed");
        }
        Ok(if self.broken { Outcome::Problems } else { Outcome::Good })
    }
}

/// What was checked of a file that is right.
fn what(source: &Source) -> String {
    let Ok(image) = Image::new(source, source.name.clone()) else { return String::new() };
    let (data, other): (Vec<&IndexEntry>, Vec<_>) = image.chunks().iter().partition(|e| e.kind == Kind::DATA);
    let pages = data.iter().map(|e| e.raw / image.header().page_size()).sum::<u64>();
    let sections = count(other.len() as u64, "section", "sections");
    if pages == 0 {
        return format!("{sections}, {}", size(source.len));
    }
    let unproved = match without_digest(&image) {
        0 => String::new(),
        n => format!(
            "; {} without a digest: of these only the checksums were compared (--no-digest)",
            count(n, "page", "pages")
        ),
    };
    format!("{sections}, {}, {}{unproved}", count(pages, "page", "pages"), size(source.len))
}

/// Pages for which the image has no BLAKE3.
fn without_digest(image: &Image<&Source>) -> u64 {
    let announced = image.chunks().iter().filter(|e| e.kind == Extents::KIND);
    let sections = announced.filter_map(|e| image.section::<Extents>(e).ok());
    sections.filter(|x| x.digest.0 == [0; 32]).map(|x| x.data_pages).sum()
}
