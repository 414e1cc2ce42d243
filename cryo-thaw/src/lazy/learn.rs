//! In which order a program touches its memory (`--learn`), for the next thaw of the set (`TCHD`).

use std::fs::File;
use std::io::BufWriter;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cryo_format::image::Image;
use cryo_format::prim::Addr;
use cryo_format::section::Section;
use cryo_format::section::touched::{Touched, TouchedRange};
use cryo_format::write::Writer;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::Range;
use crate::Result;
use crate::error::{About, RefusalKind, refuse};

/// When nothing was touched for so long, the rest is filled in.
const QUIET: Duration = Duration::from_secs(1);
/// And after so long at the latest.
const LONGEST: Duration = Duration::from_secs(30);
/// And after so many ranges.
const MOST: usize = 1 << 16;

/// What is learned of a process, and for which file.
pub struct Learning {
    path: PathBuf,
    begun: Instant,
    last: Instant,
    touched: Vec<Range>,
}

impl Learning {
    /// Begins, for the .freeze at this path.
    pub fn begin(path: &Path) -> Self {
        let now = Instant::now();
        Self { path: path.to_owned(), begun: now, last: now, touched: Vec::new() }
    }

    /// A page was touched that the image has there.
    pub fn touched(&mut self, (start, end): Range) {
        self.last = Instant::now();
        match self.touched.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => self.touched.push((start, end)),
        }
    }

    /// How much longer nothing is to be brought but what is touched.
    pub fn left(&self) -> Duration {
        if self.touched.len() >= MOST {
            return Duration::ZERO;
        }
        let left = LONGEST.saturating_sub(self.begun.elapsed());
        // Until it runs nothing is touched.
        if self.touched.is_empty() { left } else { QUIET.saturating_sub(self.last.elapsed()).min(left) }
    }

    /// Writes it into the set, of which `image` is the .freeze: into a file beside it, that then takes its name. Returns what there is to be said.
    pub fn write(&self, image: &Image<File>, process: u64) -> Result<String> {
        if self.touched.is_empty() {
            return Ok("nothing was learned, since it has touched none of its memory".into());
        }
        // What the name leads to is replaced, not the name.
        let path = &self.path.canonicalize().about(|| format!("looking for {}", self.path.display()))?;
        let about = || format!("writing what was learned into {}", path.display());
        let was = image.input().metadata().about(about)?;
        let beside = path.parent().unwrap_or(Path::new("/"));
        let mut file = tempfile::Builder::new().prefix(".cryo-learn-").tempfile_in(beside).about(about)?;
        let mut writer = Writer::new(BufWriter::new(file.as_file_mut()), image.header())?;
        for chunk in image.chunks().iter().filter(|chunk| chunk.kind != Touched::KIND || chunk.owner != process) {
            writer.copied(&chunk.header(), &image.payload(chunk)?)?;
        }
        let ranges: Vec<TouchedRange> =
            self.touched.iter().map(|(start, end)| TouchedRange { start: Addr(*start), end: Addr(*end) }).collect();
        writer.section(process, &Touched { ranges: ranges.into() })?;
        writer.finish()?;
        let written = file.as_file();
        let own = written.metadata().about(about)?;
        if (own.uid(), own.gid()) != (was.uid(), was.gid()) {
            fchown(written, Some(was.uid()), Some(was.gid())).about(about)?;
        }
        written.set_permissions(std::fs::Permissions::from_mode(was.mode() & 0o7777)).about(about)?;
        written.sync_all().about(about)?;
        // Both names change at once: whatever has come to this one meanwhile is not lost.
        let exchange = || renameat_with(CWD, file.path(), CWD, path, RenameFlags::EXCHANGE);
        exchange().about(about)?;
        let before = file.path().symlink_metadata().about(about)?;
        if (before.dev(), before.ino()) != (was.dev(), was.ino()) {
            exchange().about(about)?;
            return refuse(
                RefusalKind::File,
                format!("{} was replaced meanwhile: what was learned is not in it", path.display()),
            );
        }
        let bytes: u64 = self.touched.iter().map(|(start, end)| end - start).sum();
        Ok(format!(
            "{}: its next --lazy thaw begins with the {} KiB that were touched ({} ranges)",
            path.display(),
            bytes >> 10,
            self.touched.len()
        ))
    }
}
