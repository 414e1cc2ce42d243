//! A directory of sets of one program, each a number higher than the one before: 000001.freeze, 000002.freeze, ...

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cryo_format::image::Image;
use cryo_format::section::parent::ParentSet;
use cryo_format::verify::{self, Finding};
use cryo_format::{Profile, chain, set};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::say;

/// The directory, ours for as long as this lives.
pub struct Sets {
    dir: PathBuf,
    _lock: Option<File>,
}

impl Sets {
    /// Opens it; makes it if `make` says so.
    pub fn open(dir: &Path, make: bool) -> Result<Self> {
        if dir.exists() && !dir.is_dir() {
            bail!("{} is no directory", dir.display());
        }
        if make {
            DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(|| dir.display().to_string())?;
        }
        // The working directory may be another one when a set is written.
        let dir = dir.canonicalize().with_context(|| dir.display().to_string())?;
        let lock = File::open(&dir).with_context(|| dir.display().to_string())?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => bail!(
                "{}: another overseer keeps the sets of its program here: wait for its end, or use another --dir",
                dir.display()
            ),
            // Not all network file systems lock a directory.
            _ => Ok(Self { dir, _lock: Some(lock) }),
        }
    }

    /// To look only, while an overseer may be writing there.
    pub fn look(dir: &Path) -> Result<Self> {
        let dir = dir.canonicalize().with_context(|| dir.display().to_string())?;
        Ok(Self { dir, _lock: None })
    }

    /// The names of all sets, complete or not, the newest first.
    pub fn names(&self) -> Result<Vec<PathBuf>> {
        Ok(self.all()?.keys().rev().map(|number| self.name(*number)).collect())
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All that is there of each set, complete or not.
    fn all(&self) -> Result<BTreeMap<u64, Vec<PathBuf>>> {
        let mut all: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
        for entry in fs::read_dir(&self.dir).with_context(|| self.dir.display().to_string())? {
            let path = entry?.path();
            if let Some(number) = number(&path) {
                all.entry(number).or_default().push(path);
            }
        }
        Ok(all)
    }

    /// The name of the next set.
    pub fn next(&self) -> Result<PathBuf> {
        let last = self.all()?.last_key_value().map_or(0, |(number, _)| *number);
        Ok(self.name(last + 1))
    }

    fn name(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:06}"))
    }

    /// The newest set that is complete: each promise of the format is checked. Those before it are told, and passed over.
    pub fn newest(&self) -> Result<Option<PathBuf>> {
        for number in self.all()?.keys().rev() {
            let name = self.name(*number);
            match broken_with_parents(&name) {
                None => return Ok(Some(name)),
                Some(why) => say(&format!("{}: not complete, passed over: {why}", name.display())),
            }
        }
        Ok(None)
    }

    /// Removes all but the last `keep` complete sets, the newest of which has just been verified, and those that they need. Where it is not known what they
    /// need, none is removed.
    pub fn prune(&self, newest: &Path, keep: u32) -> Result<()> {
        let mut left = keep;
        let newest = number(newest);
        // A set comes after its parent.
        let (mut needed, mut removed) = (HashSet::new(), Vec::new());
        for (number, files) in self.all()?.into_iter().rev().filter(|(number, _)| Some(*number) <= newest) {
            let name = self.name(number);
            let freeze = Image::open(name.with_extension(Profile::Freeze.extension()));
            let is_needed = freeze.as_ref().is_ok_and(|freeze| needed.contains(&freeze.header().set));
            if is_needed || Some(number) == newest || left > 0 && set::Set::open(&name).is_ok() {
                left = left.saturating_sub(1);
                needed.extend(freeze?.get::<ParentSet>(0)?.map(|parent| parent.set));
            } else {
                removed.extend(files);
            }
        }
        remove(removed)
    }

    /// Removes one of them.
    pub fn remove(&self, name: &Path) -> Result<()> {
        let number = number(name);
        self.all()?.into_iter().filter(|(other, _)| Some(*other) == number).try_for_each(|(_, files)| remove(files))
    }

    /// Removes all of them: the program has ended.
    pub fn clear(&self) -> Result<()> {
        self.all()?.into_values().try_for_each(remove)
    }
}

/// What is wrong with a set, if anything is. The sets that it needs are there, and are the right ones.
pub fn broken(name: &Path) -> Option<String> {
    found(verify::verify_set(name)).or_else(|| parents(name).err().map(|e| e.to_string()))
}

/// The same, and the pages of the sets that it needs are looked at, too.
fn broken_with_parents(name: &Path) -> Option<String> {
    broken(name).or_else(|| match parents(name) {
        Ok(parents) => parents.iter().find_map(|parent| found(verify::verify_file(parent))),
        Err(e) => Some(e.to_string()),
    })
}

fn found(verified: cryo_format::Result<Vec<Finding>>) -> Option<String> {
    match verified {
        Ok(findings) => findings.first().map(|f| format!("{} at byte {}: {}", f.file, f.offset, f.message)),
        Err(e) => Some(e.to_string()),
    }
}

/// The .freeze of each set that it needs.
fn parents(name: &Path) -> cryo_format::Result<Vec<PathBuf>> {
    let mut freeze = Image::open(name.with_extension(Profile::Freeze.extension()))?;
    chain::attach(&mut freeze, name.parent().unwrap_or(Path::new("")), &|path| Image::open(path))?;
    Ok(freeze.ancestors().map(|image| PathBuf::from(image.name())).collect())
}

/// The .freeze first: without it the others are no set.
fn remove(mut files: Vec<PathBuf>) -> Result<()> {
    files.sort_by_key(|path| path.extension() != Some(OsStr::new(Profile::Freeze.extension())));
    files.iter().try_for_each(|path| fs::remove_file(path).with_context(|| format!("removing {}", path.display())))
}

/// Of the set that a file is of: its name is a number, then one of the three endings, and perhaps `.next`.
fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let (number, ending) = name.split_once('.').unwrap_or((name, ""));
    let ending = ending.strip_suffix(".next").unwrap_or(ending);
    let ours = ending.is_empty() || Profile::ALL.iter().any(|p| ending == p.extension());
    if ours && number.len() >= 6 && number.bytes().all(|b| b.is_ascii_digit()) { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_known_by_its_name() {
        for (name, wanted) in [
            ("000001.freeze", Some(1)),
            ("000012.frore.next", Some(12)),
            ("1000000.frost", Some(1_000_000)),
            ("000001.txt", None),
            ("1.freeze", None),
            ("results.freeze", None),
        ] {
            assert_eq!(number(Path::new(name)), wanted, "{name}");
        }
    }

    #[test]
    fn one_directory_is_for_one_program() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let first = Sets::open(&path, true).unwrap();
        assert_eq!(first.next().unwrap().file_name().unwrap(), "000001");
        let second = Sets::open(&path, true).err().unwrap().to_string();
        assert!(second.contains("another overseer"), "{second}");
        drop(first);
        Sets::open(&path, false).unwrap();
    }
}
