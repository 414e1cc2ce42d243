//! A whole set, or one file of it, without the page data: for programs that want everything at once, and for serde.

use std::collections::HashMap;

use serde::Serialize;

use crate::error::Result;
use crate::header::{Header, Profile};
use crate::image::{Image, ReadAt};
use crate::kind::Kind;
use crate::prim::Raw;
use crate::section::{AnySection, Section};

/// One file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileModel {
    /// Its header.
    pub header: Header,
    /// Its root.
    pub root: Raw<32>,
    /// Its sections, in file order; unknown ones too.
    pub sections: Vec<Entry>,
    /// The first section of each kind and owner.
    #[serde(skip)]
    places: HashMap<(Kind, u64), usize>,
}

/// One section and whom it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Chunk kind.
    pub kind: Kind,
    /// Owner.
    pub owner: u64,
    /// The section's fields, in the latest version of its kind.
    pub payload: AnySection,
}

impl FileModel {
    /// Of these sections.
    pub fn new(header: Header, root: Raw<32>, sections: Vec<Entry>) -> Self {
        let mut places = HashMap::new();
        for (i, e) in sections.iter().enumerate() {
            places.entry((e.kind, e.owner)).or_insert(i);
        }
        Self { header, root, sections, places }
    }

    /// Reads every section of `image`.
    pub fn read<R: ReadAt>(image: &Image<R>) -> Result<Self> {
        let entries = image.chunks().iter().filter(|e| e.kind != Kind::DATA);
        let sections = entries
            .map(|e| Ok(Entry { kind: e.kind, owner: e.owner, payload: image.any(e)? }))
            .collect::<Result<_>>()?;
        Ok(Self::new(image.header().clone(), image.end().root, sections))
    }

    /// The section of this type that belongs to `owner`.
    pub fn get<S: Section>(&self, owner: u64) -> Option<&S> {
        let place = self.places.get(&(S::KIND, owner))?;
        S::of(&self.sections.get(*place)?.payload)
    }

    /// All sections of this type, with their owners.
    pub fn all<S: Section>(&self) -> impl Iterator<Item = (u64, &S)> {
        self.sections.iter().filter_map(|e| S::of(&e.payload).map(|section| (e.owner, section)))
    }
}

/// A set of three files.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// The template.
    pub frore: FileModel,
    /// What the kernel keeps.
    pub frost: FileModel,
    /// Registers and memory (its extents, not its pages).
    pub freeze: FileModel,
}

impl Model {
    /// The section of this type that belongs to `owner`, from the file where it belongs.
    pub fn get<S: Section>(&self, owner: u64) -> Option<&S> {
        self.file(S::PROFILE).get(owner)
    }

    /// All sections of this type, with their owners.
    pub fn all<S: Section>(&self) -> impl Iterator<Item = (u64, &S)> {
        self.file(S::PROFILE).all()
    }

    /// One of the three files.
    pub fn file(&self, profile: Profile) -> &FileModel {
        match profile {
            Profile::Freeze => &self.freeze,
            Profile::Frore => &self.frore,
            Profile::Frost => &self.frost,
        }
    }
}
