//! `--pid-file`: opened before anything is started, so that nothing runs of which nobody knows the pid.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::error::About;

/// The file. Where it is new and nothing was written to it, dropping it takes it away.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
    new: bool,
}

impl PidFile {
    /// Opens or makes it. What stands in it stays until [`PidFile::write`].
    pub fn open(path: &Path) -> Result<Self> {
        let about = || format!("opening the pid file {}", path.display());
        let made = OpenOptions::new().write(true).create_new(true).open(path);
        let (file, new) = match made {
            Ok(file) => (file, true),
            Err(_) => (OpenOptions::new().write(true).create(true).truncate(false).open(path).about(about)?, false),
        };
        Ok(Self { path: path.to_owned(), file, new })
    }

    /// Writes the pid.
    pub fn write(mut self, pid: i32) -> Result<()> {
        self.new = false;
        // A pipe or a device has no length.
        let _ = self.file.set_len(0);
        self.file.write_all(format!("{pid}\n").as_bytes()).about(|| format!("writing {}", self.path.display()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.new {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
