//! Everything that the spec promises, checked (spec/15-rules.md).
//!
//! One pass over each file checks what can be seen there: checksums, digests, every section by itself, the index against the chunks.
//! What sections promise about each other is checked behind that, in `relations`, over one file or over a set. Of each it lists
//! [`MAX_FINDINGS`] at most.

mod relations;

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Place, Result};
use crate::header::{Header, Profile};
use crate::image::{ReadAt, Sequential};
use crate::index::IndexEntry;
use crate::kind::Kind;
use crate::limits::MAX_FINDINGS;
use crate::prim::Raw;
use crate::read::{Chunk, Stream};
use crate::rules::{Rule, Violation, ensure};
use crate::section::extents::{Content, Extents};
use crate::section::{AnySection, Info};

/// A promise that is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// Offset in the file: of the chunk that it is about, or where the file ends too early.
    pub offset: u64,
    /// The rule.
    pub rule: Rule,
    /// What was found there.
    pub message: String,
}

impl Finding {
    /// From an error that is a broken rule; others are given back.
    fn new(file: &str, e: Error) -> Result<Self> {
        match e.rule() {
            Some(rule) => {
                Ok(Self { file: file.to_owned(), offset: e.offset().unwrap_or(0), rule, message: e.message() })
            }
            None => Err(e),
        }
    }
}

/// Checks one file by itself. An error is one of the system; what is wrong with the file is found.
pub fn verify_file(path: impl AsRef<Path>) -> Result<Vec<Finding>> {
    let (file, name) = crate::image::open_file(path.as_ref())?;
    verify(&file, &name)
}

/// [`verify_file`] for bytes of any kind.
pub fn verify<R: ReadAt>(input: &R, name: &str) -> Result<Vec<Finding>> {
    let (mut findings, facts) = pass(input, name)?;
    findings.extend(relations::check(facts.as_slice()));
    Ok(findings)
}

/// Checks NAME.freeze with its siblings, each by itself and all together.
pub fn verify_set(path: impl AsRef<Path>) -> Result<Vec<Finding>> {
    let mut files = Vec::new();
    for (_, path) in crate::set::locate(path.as_ref()) {
        files.push(crate::image::open_file(&path)?);
    }
    verify_together(&files.iter().map(|(file, name)| (file, name.as_str())).collect::<Vec<_>>())
}

/// [`verify_set`] for bytes of any kind: the .frore, the .frost and the .freeze with their names.
pub fn verify_together<R: ReadAt>(files: &[(&R, &str)]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut facts = Vec::new();
    for ((input, name), profile) in files.iter().zip(Profile::ALL) {
        let (found, known) = pass(*input, name)?;
        findings.extend(found);
        if let Some(file) = known {
            let is = file.header.profile;
            if is != profile {
                let error = Error::WrongProfile { file: (*name).to_owned(), is, wanted: profile };
                findings.push(Finding {
                    file: (*name).to_owned(),
                    offset: 0,
                    rule: Rule::MISPLACED,
                    message: error.message(),
                });
            }
            facts.push(file);
        }
    }
    // With a file that cannot be read, what refers to it cannot be judged.
    if facts.len() == files.len() {
        findings.extend(relations::check(&facts));
    }
    Ok(findings)
}

/// What one pass has learned of a file.
struct Facts {
    name: String,
    header: Header,
    root: Option<Raw<32>>,
    sections: Vec<Fact>,
    /// Extents that touch are joined.
    ranges: Vec<Range>,
    /// Owners of pages that are with the parent, and the first EXTS of each that says so.
    heirs: BTreeMap<u64, u64>,
}

/// A section other than EXTS.
struct Fact {
    info: &'static Info,
    owner: u64,
    offset: u64,
    section: AnySection,
}

/// A range of an owner's memory that EXTS chunks cover, and the first of those chunks.
struct Range {
    owner: u64,
    start: u64,
    end: u64,
    offset: u64,
}

/// Reads a file from the beginning to the end.
fn pass<R: ReadAt>(input: &R, name: &str) -> Result<(Vec<Finding>, Option<Facts>)> {
    let place = Place { file: name.to_owned(), kind: None, offset: 0 };
    let io = |error| Error::Io { place: place.clone(), error };
    let sequential = BufReader::new(Sequential::new(input).map_err(io)?);
    let mut findings = Vec::new();
    let mut stream = match Stream::verifying(sequential, name) {
        Ok(stream) => stream,
        Err(e) => return Ok((vec![Finding::new(name, e)?], None)),
    };
    let header = stream.header().clone();
    let mut facts = Facts {
        name: name.to_owned(),
        header,
        root: None,
        sections: Vec::new(),
        ranges: Vec::new(),
        heirs: BTreeMap::new(),
    };
    let mut pass = Pass::default();
    loop {
        let step = match stream.next() {
            Ok(Some(mut chunk)) => pass.chunk(&mut chunk, &mut facts),
            Ok(None) => break,
            Err(e) => Err(e),
        };
        if let Err(e) = step {
            findings.push(Finding::new(name, e)?);
            break;
        }
    }
    facts.root = stream.end().map(|end| end.root);
    if stream.end().is_some() {
        let at = stream.offset();
        let left = input.size().map_err(io)?.saturating_sub(at);
        pass.check(
            Some(Kind::END),
            at,
            ensure(pass.listed.is_empty(), Rule::INDEX, || {
                format!("{} chunks before END are in no INDX", pass.listed.len())
            }),
            name,
        );
        pass.check(None, at, ensure(left == 0, Rule::TRAILING, || format!("{left} bytes follow the footer")), name);
    }
    // A stream that verifies and the pass behind it may have tripped over the same thing.
    let mut seen: BTreeSet<(u64, Rule, String)> = BTreeSet::new();
    for e in stream.take_faults().into_iter().chain(pass.faults) {
        let finding = Finding::new(name, e)?;
        if seen.insert((finding.offset, finding.rule, finding.message.clone())) {
            findings.push(finding);
        }
    }
    findings.sort_by_key(|f| f.offset);
    findings.truncate(MAX_FINDINGS);
    Ok((findings, Some(facts)))
}

/// What a pass remembers from chunk to chunk.
#[derive(Default)]
struct Pass {
    faults: Vec<Error>,
    /// Chunks since the last INDX.
    listed: Vec<IndexEntry>,
    previous_index: u64,
    digest: Raw<32>,
    data: Vec<u8>,
}

impl Pass {
    fn chunk<R: std::io::Read>(&mut self, chunk: &mut Chunk<'_, R>, facts: &mut Facts) -> Result<()> {
        let (kind, owner, offset) = (chunk.kind(), chunk.owner(), chunk.offset());
        if !matches!(kind, Kind::PAD | Kind::INDX) {
            self.listed.push(IndexEntry::new(chunk.header(), offset));
        }
        if kind == Kind::DATA {
            chunk.data(&mut self.data)?;
            let announced = std::mem::take(&mut self.digest);
            let right = announced == Raw::default() || announced == crate::digest(&self.data);
            self.check(
                Some(kind),
                offset,
                ensure(right, Rule::DIGEST, || "its digest is not the one in EXTS"),
                &facts.name,
            );
            return Ok(());
        }
        let section = match chunk.any() {
            Ok(section) => section,
            Err(e) => {
                if self.faults.len() < MAX_FINDINGS {
                    self.faults.push(e);
                }
                return Ok(());
            }
        };
        match section {
            AnySection::Index(index) => {
                let check = ensure(index.previous == self.previous_index, Rule::INDEX, || {
                    format!("it names {:#x} as the INDX before it, not {:#x}", index.previous, self.previous_index)
                });
                self.check(Some(kind), offset, check, &facts.name);
                let differs = (0..index.entries.len().max(self.listed.len()))
                    .find(|i| index.entries.get(*i) != self.listed.get(*i));
                let check = ensure(differs.is_none(), Rule::INDEX, || {
                    format!("entry {} of {} is not what the file holds", differs.unwrap_or(0), index.entries.len())
                });
                self.check(Some(kind), offset, check, &facts.name);
                self.previous_index = offset;
                self.listed.clear();
            }
            AnySection::Extents(extents) => {
                self.digest = extents.digest;
                facts.cover(owner, &extents, offset);
            }
            section => {
                if let Some(info) = section.info() {
                    facts.sections.push(Fact { info, owner, offset, section });
                }
            }
        }
        Ok(())
    }

    fn check(&mut self, kind: Option<Kind>, offset: u64, result: Result<(), Violation>, file: &str) {
        if let Err(violation) = result
            && self.faults.len() < MAX_FINDINGS
        {
            self.faults.push(Error::Broken { place: Place { file: file.to_owned(), kind, offset }, violation });
        }
    }
}

impl Facts {
    fn cover(&mut self, owner: u64, extents: &Extents, offset: u64) {
        let page = self.header.page_size();
        if extents.extents.iter().any(|e| e.content == Content::PARENT) {
            self.heirs.entry(owner).or_insert(offset);
        }
        for e in &extents.extents {
            // What wraps around was found already.
            let end = e.vaddr.0.saturating_add(e.pages.saturating_mul(page));
            match self.ranges.last_mut() {
                Some(last) if last.owner == owner && last.end == e.vaddr.0 => last.end = end,
                _ => self.ranges.push(Range { owner, start: e.vaddr.0, end, offset }),
            }
        }
    }
}
