//! `--log`: each record as it comes, a line of JSON.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

use anyhow::{Context, Result};

use super::record::Record;

/// The file.
pub struct Log(File);

impl Log {
    /// Opens it; what is there stays, and lines are added.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::options().append(true).create(true).open(path);
        Ok(Self(file.with_context(|| format!("--log {}", path.display()))?))
    }

    /// Its descriptor.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Adds a line. The program does not wait for a disk that is full.
    pub fn add(&mut self, record: &Record) {
        if let Ok(mut line) = serde_json::to_vec(record) {
            line.push(b'\n');
            let _ = self.0.write_all(&line);
        }
    }
}
