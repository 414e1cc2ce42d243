//! What is to be looked at: one file, or the files of a set, with every section of theirs in memory and the pages left where they are.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cryo_format::chain;
use cryo_format::chunk::ChunkFlags;
use cryo_format::given::{self, Given};
use cryo_format::image::{Image, Sequential};
use cryo_format::prim::Raw;
use cryo_format::read::Stream;
use cryo_format::section::descriptors::Descriptors;
use cryo_format::section::extents::Extents;
use cryo_format::section::link::Link;
use cryo_format::section::{AnySection, Section};
use cryo_format::set::{self, Set};
use cryo_format::{Error, Header, Kind, Profile, Result};

use crate::page_count::PageCount;
use crate::source::{Source, io_error, spool};

/// One file.
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its header.
    pub header: Header,
    /// Its root; none if its end is missing.
    pub root: Option<Raw<32>>,
    /// Bytes of the file.
    pub size: u64,
    /// Its sections and its unknown chunks, in file order.
    pub entries: Vec<Entry>,
    /// The file itself, where it can be read at random: then its pages can be read.
    pub image: Option<Image<Source>>,
}

/// One chunk that is not of the container's own kinds.
pub struct Entry {
    /// Chunk kind.
    pub kind: Kind,
    /// Version of the kind.
    pub version: u16,
    /// Flags.
    pub flags: ChunkFlags,
    /// Whose it is.
    pub owner: u64,
    /// Offset of its header in the file.
    pub offset: u64,
    /// Its fields, in the latest version of its kind, or what is wrong with them.
    pub section: std::result::Result<AnySection, String>,
}

impl Entry {
    /// Its version, if it stands in the file in one older than its fields are shown in.
    pub fn older(&self) -> Option<u16> {
        let latest = self.section.as_ref().ok()?.info()?.version;
        (self.version < latest).then_some(self.version)
    }
}

/// An opened image, the ice that a process is in: every section of its files in memory, by owner, and what was wrong with them. Pages stay in the files.
#[derive(Default)]
pub struct Ice {
    /// The files.
    pub parts: Vec<Part>,
    /// What could not be read, for people.
    pub problems: Vec<String>,
    /// Places of entries (part, entry) by owner.
    places: HashMap<u64, Vec<(usize, usize)>>,
    /// The first of each kind that an owner has and that can be understood.
    first: HashMap<(u64, Kind), (usize, usize)>,
    /// How many pages of what kind each owner has.
    pages: HashMap<u64, PageCount>,
    /// The first descriptor of each description in each process, and the process that has the first of all.
    holders: OnceLock<Holders>,
    /// Only these processes are looked at; all if there are none.
    chosen: Vec<u64>,
}

/// Who has a descriptor of what.
#[derive(Default)]
struct Holders {
    of_each: HashMap<(u64, u64), u32>,
    first: HashMap<u64, (u64, u32)>,
}

impl Ice {
    /// From a file; of a .freeze or of NAME, with its siblings where they are there and belong to it.
    pub fn open(path: &Path) -> Result<Self> {
        let mut ice = Self::default();
        let siblings = siblings(path);
        // The .freeze is last.
        let asked = siblings.last().map(|(_, file)| file.clone());
        for (_, file) in &siblings {
            match read_file(file, &mut ice.problems) {
                Ok(part) => ice.add(part),
                // The file that was asked for must be there; of the others it is enough to say so.
                Err(e) if Some(file) == asked.as_ref() => return Err(e),
                Err(e) => ice.problems.push(e.to_string()),
            }
        }
        let whole = ice.parts.len() == Profile::ALL.len() && ice.problems.is_empty();
        ice.parents(path.parent().unwrap_or(Path::new("")));
        match Set::open(path) {
            // It knows where the right file may be.
            Err(e @ Error::Mismatch(_)) if whole => ice.problems.push(e.to_string()),
            _ => ice.check_link(),
        }
        Ok(ice)
    }

    /// From a pipe: a file, or the files of a set one after another.
    pub fn read(mut input: impl BufRead) -> Result<Self> {
        let mut ice = Self::default();
        while ice.parts.is_empty() || !input.fill_buf().map_err(|e| io_error("-", e))?.is_empty() {
            let (part, problem) = match read_stream(&mut input, "-") {
                Ok(read) => read,
                Err(e) if ice.parts.is_empty() => return Err(e),
                Err(e) => {
                    ice.problems.push(e.to_string());
                    break;
                }
            };
            ice.add(part);
            if let Some(e) = problem {
                // Where the next file would begin is not known.
                ice.problems.push(e.to_string());
                break;
            }
        }
        ice.check_link();
        Ok(ice)
    }

    /// From a pipe, laid down in a file first, so that pages can be read.
    pub fn keep(input: impl Read) -> Result<Self> {
        let mut ice = Self::default();
        for source in spool(input)? {
            match read_source(&source, &mut ice.problems) {
                Ok(part) => ice.add(part),
                Err(e) if ice.parts.is_empty() => return Err(e),
                Err(e) => ice.problems.push(e.to_string()),
            }
        }
        ice.parents(Path::new(""));
        ice.check_link();
        Ok(ice)
    }

    /// From files whose indexes are lost: every chunk is looked for, and must be whole.
    pub fn scan<'a>(files: impl Iterator<Item = &'a Path>) -> Result<Self> {
        let mut ice = Self::default();
        for file in files {
            let source = Source::open(file)?;
            let name = source.name.clone();
            ice.add(read_image(Image::scan(source, name)?)?);
        }
        Ok(ice)
    }

    /// Opens the sets that have pages of this one.
    fn parents(&mut self, beside: &Path) {
        let freeze = self.parts.iter_mut().find(|p| p.header.profile == Profile::Freeze);
        let Some(image) = freeze.and_then(|p| p.image.as_mut()) else { return };
        if let Err(e) = chain::attach(image, beside, &open_source) {
            self.problems.push(e.to_string());
        }
    }

    /// Do the files belong together? The .freeze says which other two it wants.
    fn check_link(&mut self) {
        let (Some(freeze), Some(link)) = (self.part(Profile::Freeze), self.get::<Link>(0)) else { return };
        let others = self.parts.iter().filter(|p| p.header.profile != Profile::Freeze);
        let check = |p: &Part| link.admits(&freeze.header, &p.header, &p.root?).err().map(|v| (p.name.clone(), v));
        let wrong: Vec<_> = others.filter_map(check).collect();
        let freeze = freeze.name.clone();
        for (name, v) in wrong {
            self.problems.push(format!("{name}: does not belong to {freeze}: {} (rule {})", v.detail, v.rule.0));
        }
    }

    fn add(&mut self, mut part: Part) {
        let name = part.name.clone();
        if let Some(first) = self.part(part.header.profile) {
            let profile = part.header.profile;
            let said = format!(
                "{name}: a second .{profile}, of set {}, beside that of set {}: it is not shown",
                part.header.set, first.header.set
            );
            return self.problems.push(said);
        }
        for (i, e) in part.entries.iter_mut().enumerate() {
            let place = (self.parts.len(), i);
            self.places.entry(e.owner).or_default().push(place);
            let known = e.section.as_ref().is_ok_and(|s| s.info().is_some());
            if let Ok(AnySection::Extents(extents)) = &e.section {
                self.pages.entry(e.owner).or_default().count(extents);
            }
            // EXTS is the only kind that an owner may have more than one of (rule 27).
            if known && *self.first.entry((e.owner, e.kind)).or_insert(place) != place && e.kind != Extents::KIND {
                e.section = Err(format!(
                    "{name}: chunk {} at offset {:#x}: owner {} has one already (rule 27)",
                    e.kind, e.offset, e.owner
                ));
            }
            if let Err(what) = &e.section {
                self.problems.push(what.clone());
            }
        }
        self.parts.push(part);
    }

    /// The file of this profile.
    pub fn part(&self, profile: Profile) -> Option<&Part> {
        self.parts.iter().find(|p| p.header.profile == profile)
    }

    /// Only these processes are looked at: what they share is described with the first of them.
    pub fn look_at(&mut self, processes: impl Iterator<Item = u64>) {
        self.chosen = processes.collect();
        self.holders = OnceLock::new();
    }

    fn holders(&self) -> &Holders {
        self.holders.get_or_init(|| {
            let mut holders = Holders::default();
            let mut all: Vec<(u64, &Descriptors)> = self.all::<Descriptors>().collect();
            all.sort_by_key(|(process, _)| *process);
            for (process, table) in all {
                for d in &table.descriptors {
                    holders.of_each.entry((process, d.description)).or_insert(d.fd);
                    if self.chosen.is_empty() || self.chosen.binary_search(&process).is_ok() {
                        holders.first.entry(d.description).or_insert((process, d.fd));
                    }
                }
            }
            holders
        })
    }

    /// The first descriptor of a process that refers to this description.
    pub fn descriptor(&self, process: u64, description: u64) -> Option<u32> {
        self.holders().of_each.get(&(process, description)).copied()
    }

    /// The first process that is looked at with a descriptor of this description, and the descriptor.
    pub fn first_holder(&self, description: u64) -> Option<(u64, u32)> {
        self.holders().first.get(&description).copied()
    }

    /// Every owner that something belongs to, in ascending order; 0, the image, first.
    pub fn owners(&self) -> Vec<u64> {
        let mut owners: Vec<u64> = self.places.keys().copied().collect();
        owners.sort_unstable();
        owners
    }

    /// What belongs to `owner`, in the order of files.
    pub fn of(&self, owner: u64) -> impl Iterator<Item = &Entry> {
        let places = self.places.get(&owner).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|(part, entry)| self.parts.get(*part)?.entries.get(*entry))
    }

    /// The sections of this type that belong to `owner`.
    pub fn sections<S: Section>(&self, owner: u64) -> impl Iterator<Item = &S> {
        self.of(owner).filter_map(|e| e.section.as_ref().ok()).filter_map(S::of)
    }

    /// The section of this type that belongs to `owner`.
    pub fn get<S: Section>(&self, owner: u64) -> Option<&S> {
        let (part, entry) = self.first.get(&(owner, S::KIND))?;
        S::of(self.parts.get(*part)?.entries.get(*entry)?.section.as_ref().ok()?)
    }

    /// All sections of this type, with their owners, in file order.
    pub fn all<S: Section>(&self) -> impl Iterator<Item = (u64, &S)> {
        let entries = self.parts.iter().flat_map(|p| &p.entries);
        entries.filter_map(|e| Some((e.owner, S::of(e.section.as_ref().ok()?)?)))
    }

    /// How many pages of what kind `owner` has.
    pub fn pages(&self, owner: u64) -> PageCount {
        self.pages.get(&owner).copied().unwrap_or_default()
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> u64 {
        self.parts.first().map_or(4096, |p| p.header.page_size())
    }
}

/// A file, as an image.
pub fn open_source(path: &Path) -> Result<Image<Source>> {
    let source = Source::open(path)?;
    let name = source.name.clone();
    Image::new(source, name)
}

/// Is it the NAME of a set, and of no file of ours?
pub fn is_name(path: &Path) -> bool {
    let all = set::paths(path);
    let [.., (_, freeze)] = &all;
    let ours = || matches!(given::look(path), Given::Ours | Given::Saved);
    // The program `prog` may stand beside its own set prog.freeze.
    !all.iter().any(|(_, file)| file == path) && (!path.exists() || freeze.exists() && !ours())
}

/// The files that are shown for `path`: of a .freeze or of NAME, those of its set that are there; else itself.
pub fn siblings(path: &Path) -> Vec<(Option<Profile>, PathBuf)> {
    let freeze = Profile::Freeze.extension();
    if is_name(path) {
        let [.., (_, freeze)] = set::paths(path);
        siblings(&freeze)
    } else if path.extension().is_some_and(|x| x == freeze) {
        let all = set::locate(path).into_iter().map(|(p, file)| (Some(p), file));
        all.filter(|(_, file)| file == path || file.exists()).collect()
    } else {
        vec![(None, path.to_owned())]
    }
}

/// Through the index; where that is broken, as far as the stream goes.
fn read_file(path: &Path, problems: &mut Vec<String>) -> Result<Part> {
    read_source(&Source::open(path)?, problems)
}

fn read_source(source: &Source, problems: &mut Vec<String>) -> Result<Part> {
    let name = source.name.clone();
    let indexed = match Image::new(source.again()?, &name) {
        Ok(image) => {
            // A lie about its root, or about the order of its pages, is found by who reads it from end to end; so it is here.
            problems.extend(image.check().err().map(|e| e.to_string()));
            return read_image(image);
        }
        Err(e) if e.rule().is_none() => return Err(e),
        Err(e) => e,
    };
    let sequential = Sequential::new(source).map_err(|e| io_error(&name, e))?;
    let (part, problem) = read_stream(BufReader::new(sequential), &name)?;
    problems.push(problem.unwrap_or(indexed).to_string());
    Ok(part)
}

fn read_image(image: Image<Source>) -> Result<Part> {
    let mut entries = Vec::new();
    for e in image.chunks().iter().filter(|e| e.kind != Kind::DATA) {
        let section = match image.any(e) {
            Err(e) if e.rule().is_none() => return Err(e),
            other => other.map_err(|e| e.to_string()),
        };
        entries.push(Entry {
            kind: e.kind,
            version: e.version,
            flags: e.flags,
            owner: e.owner,
            offset: e.offset,
            section,
        });
    }
    let (header, root) = (image.header().clone(), Some(image.end().root));
    let (name, size) = (image.name().to_owned(), image.input().len);
    Ok(Part { name, header, root, size, entries, image: Some(image) })
}

/// One file from where `input` stands. With a file that breaks off comes what was before that, and the error.
fn read_stream(input: impl Read, name: &str) -> Result<(Part, Option<Error>)> {
    let mut stream = Stream::named(input, name)?;
    let header = stream.header().clone();
    let name = if name == "-" { format!("-: .{}", header.profile) } else { name.to_owned() };
    let mut part = Part { name, header, root: None, size: 0, entries: Vec::new(), image: None };
    let problem = loop {
        match stream.next() {
            Ok(Some(chunk)) if chunk.kind().is_structural() => {}
            Ok(Some(chunk)) => {
                let section = chunk.any().map_err(|e| e.to_string());
                let (h, offset) = (*chunk.header(), chunk.offset());
                part.entries.push(Entry {
                    kind: h.kind,
                    version: h.version,
                    flags: h.flags,
                    owner: h.owner,
                    offset,
                    section,
                });
            }
            Ok(None) => break None,
            Err(e) => break Some(e),
        }
    };
    part.root = stream.end().map(|end| end.root);
    part.size = stream.offset();
    Ok((part, problem))
}
