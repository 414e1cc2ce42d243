//! Everything that the spec promises, checked (spec/15-rules.md).

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::image::{ReadAt, Sequential};
use crate::read::Stream;
use crate::rules::Rule;

/// A promise that is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// Offset in the file.
    pub offset: u64,
    /// The rule.
    pub rule: Rule,
    /// What was found.
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
    let name = path.as_ref().display().to_string();
    let place = || crate::error::Place { file: name.clone(), kind: None, offset: 0 };
    let file = std::fs::File::open(path.as_ref()).map_err(|source| Error::Io { place: place(), source })?;
    verify(&file, &name)
}

/// [`verify_file`] for bytes of any kind.
pub fn verify<R: ReadAt>(input: &R, name: &str) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let place = || crate::error::Place { file: name.to_owned(), kind: None, offset: 0 };
    let sequential = Sequential::new(input).map_err(|source| Error::Io { place: place(), source })?;
    let mut stream = match Stream::verifying(sequential, name) {
        Ok(stream) => stream,
        Err(e) => return Ok(vec![Finding::new(name, e)?]),
    };
    loop {
        match stream.next() {
            Ok(Some(chunk)) => {
                if let Err(e) = chunk.any() {
                    findings.push(Finding::new(name, e)?);
                }
            }
            Ok(None) => break,
            Err(e) => {
                findings.push(Finding::new(name, e)?);
                break;
            }
        }
    }
    for e in stream.take_faults() {
        findings.push(Finding::new(name, e)?);
    }
    Ok(findings)
}

/// Checks NAME.freeze with its siblings, each by itself and all together.
pub fn verify_set(path: impl AsRef<Path>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (_, path) in crate::set::paths(path.as_ref()) {
        findings.extend(verify_file(path)?);
    }
    Ok(findings)
}
