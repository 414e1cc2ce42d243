//! The three files of a set, opened together (spec/10-linking.md).

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::{Error, Mismatch, Result};
use crate::header::Profile;
use crate::image::{Image, ReadAt};
use crate::model::{FileModel, Model};
use crate::rules::{Rule, Violation};
use crate::section::Section;
use crate::section::link::Link;

/// A .freeze with the .frore and the .frost that it belongs to.
pub struct Set<R = File> {
    /// Registers and memory.
    pub freeze: Image<R>,
    /// The template.
    pub frore: Image<R>,
    /// What the kernel keeps.
    pub frost: Image<R>,
    /// What the .freeze says of the other two.
    pub link: Link,
}

/// The paths of a set: `path` may be NAME, or NAME with any of the three extensions.
pub fn paths(path: &Path) -> [(Profile, PathBuf); 3] {
    let known = path.extension().is_some_and(|x| Profile::ALL.iter().any(|p| x == p.extension()));
    let stem = if known { path.with_extension("") } else { path.to_owned() };
    Profile::ALL.map(|p| {
        let mut name = stem.clone().into_os_string();
        name.push(".");
        name.push(p.extension());
        (p, name.into())
    })
}

/// What the end of a name is while a set is being replaced: NAME.frore.next takes the place of NAME.frore (spec/10-linking.md).
pub const NEXT: &str = "next";

/// Where a file is before it takes its own name.
pub fn next(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".");
    name.push(NEXT);
    name.into()
}

/// The files of a set, where they are to be read: [`paths`], but for a set whose replacement was cut short. The .freeze that is there decides: where
/// it belongs to NAME.frore.next and not to NAME.frore, the former is of the set.
pub fn locate(path: &Path) -> [(Profile, PathBuf); 3] {
    let mut all = paths(path);
    let freeze = all[2].1.clone();
    for (_, file) in &mut all[..2] {
        let next = next(file);
        if next.exists() && belongs(&freeze, &next) {
            *file = next;
        }
    }
    all
}

/// Is `other` a .frore or .frost that the file `freeze` names as its own? What cannot be read is not.
pub fn belongs(freeze: &Path, other: &Path) -> bool {
    let both = || -> Result<bool> {
        let (freeze, other) = (Image::open(freeze)?, Image::open(other)?);
        let Some(link) = freeze.get::<Link>(0)? else { return Ok(false) };
        Ok(link.admits(freeze.header(), other.header(), &other.end().root).is_ok())
    };
    both().unwrap_or(false)
}

/// Says which file of another name is the one that is missing, if it is beside the .freeze: a set that was renamed or mixed.
fn explain(path: &Path, error: Error) -> Error {
    let [frore, frost, (_, freeze)] = paths(path);
    let shown = |path: &Path| path.display().to_string();
    match error {
        Error::Mismatch(m) => {
            let like = if m.file == shown(&frost.1) { &frost.1 } else { &frore.1 };
            Error::Mismatch(Mismatch { found: other_name(&freeze, like), ..m })
        }
        Error::Io { place, error } if error.kind() == std::io::ErrorKind::NotFound && freeze.exists() => {
            match [&frore.1, &frost.1].into_iter().find(|file| shown(file) == place.file) {
                Some(file) => {
                    Error::Missing { file: shown(file), freeze: shown(&freeze), found: other_name(&freeze, file) }
                }
                None => Error::Io { place, error },
            }
        }
        other => other,
    }
}

/// A file beside `freeze` that belongs to it, of the extension that `like` has.
fn other_name(freeze: &Path, like: &Path) -> Option<String> {
    let dir = freeze.parent().filter(|dir| !dir.as_os_str().is_empty());
    let beside = std::fs::read_dir(dir.unwrap_or(Path::new("."))).ok()?.flatten();
    let mut names = beside.map(|entry| dir.unwrap_or(Path::new("")).join(entry.file_name()));
    let found = names.find(|file| file.extension() == like.extension() && file != like && belongs(freeze, file))?;
    Some(found.display().to_string())
}

impl Set<File> {
    /// Opens NAME.freeze and its siblings. The name says where to look; ids and roots decide whether they belong together.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let opened = match Self::open_once(path) {
            // It may just have been replaced: then the files are of one set now.
            Err(Error::Mismatch(_)) => Self::open_once(path),
            other => other,
        };
        opened.map_err(|e| explain(path, e))
    }

    fn open_once(path: &Path) -> Result<Self> {
        let [frore, frost, freeze] = locate(path).map(|(_, path)| path);
        // The .freeze first: it is the one that people name, so its absence is the error that they understand.
        let freeze = Image::open(freeze)?;
        Self::new(Image::open(frore)?, Image::open(frost)?, freeze)
    }
}

impl<R: ReadAt> Set<R> {
    /// Joins three files, if they belong together.
    pub fn new(frore: Image<R>, frost: Image<R>, freeze: Image<R>) -> Result<Self> {
        frore.expect(Profile::Frore)?;
        frost.expect(Profile::Frost)?;
        freeze.expect(Profile::Freeze)?;
        let mismatch = |image: &Image<R>, v: Violation| {
            let (file, freeze) = (image.name().to_owned(), freeze.name().to_owned());
            Error::Mismatch(Mismatch { file, freeze, detail: v.detail, rule: v.rule, found: None })
        };
        let no_link =
            || mismatch(&frore, Rule::LINK.broken("the .freeze has no LINK section, which names its template"));
        let link = freeze.get::<Link>(0)?.ok_or_else(no_link)?;
        for image in [&frore, &frost] {
            link.admits(freeze.header(), image.header(), &image.end().root).map_err(|v| mismatch(image, v))?;
        }
        Ok(Self { freeze, frore, frost, link })
    }

    /// One of the three files.
    pub fn file(&self, profile: Profile) -> &Image<R> {
        match profile {
            Profile::Freeze => &self.freeze,
            Profile::Frore => &self.frore,
            Profile::Frost => &self.frost,
        }
    }

    /// The section of this type that belongs to `owner`, from the file where it belongs.
    pub fn get<S: Section>(&self, owner: u64) -> Result<Option<S>> {
        self.file(S::PROFILE).get(owner)
    }

    /// All sections of this type, with their owners.
    pub fn all<S: Section>(&self) -> Result<Vec<(u64, S)>> {
        self.file(S::PROFILE).all()
    }

    /// Everything but the pages.
    pub fn model(&self) -> Result<Model> {
        Ok(Model {
            frore: FileModel::read(&self.frore)?,
            frost: FileModel::read(&self.frost)?,
            freeze: FileModel::read(&self.freeze)?,
        })
    }
}
