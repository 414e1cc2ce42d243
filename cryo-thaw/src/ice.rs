//! The frozen set as the thawer needs it: template and services whole, registers, and then the pages, from files or from a pipe.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cryo_format::Profile;
use cryo_format::chain::{self, Below};
use cryo_format::given::{self, Given};
use cryo_format::header::{EM_386, EM_X86_64, Header};
use cryo_format::image::{Image, open_file};
use cryo_format::model::{Entry, FileModel};
use cryo_format::read::Stream;
use cryo_format::section::Section;
use cryo_format::section::extents::Extents;
use cryo_format::section::link::Link;
use cryo_format::section::parent::ParentSet;
use cryo_format::section::process::Process;
use cryo_format::section::regs::RegsI386;
use cryo_format::section::thread::Thread;
use cryo_format::set::{self, Set};

use cryo_tracee::Arch;

use crate::Result;
use crate::error::{About, RefusalKind, refuse};
use crate::kept_pages::KeptPages;
use crate::options::Options;
use crate::stdin::{Pipe, Stdin};

/// An open set.
pub struct Ice {
    /// Ranges and permissions.
    pub frore: FileModel,
    /// What the kernel keeps.
    pub frost: FileModel,
    /// Registers: the sections of the .freeze before its pages.
    pub freeze: FileModel,
    /// The pages; taken when they are filled in.
    pub pages: Option<Pages>,
}

/// Where the pages are.
pub enum Pages {
    /// In a file, in any order.
    File {
        /// The .freeze.
        image: Image<File>,
        /// Processes whose pages were filled in already.
        done: HashSet<u64>,
    },
    /// Still in the pipe.
    Pipe {
        /// It stands behind `next`.
        stream: Box<Stream<Box<dyn Pipe>>>,
        /// An `EXTS` that was read already, with its owner.
        next: Option<(u64, Extents)>,
        /// The set that has some of the pages, which no pipe brings.
        below: Option<Box<Below>>,
    },
    /// In our own memory.
    Kept {
        /// They.
        kept: Rc<KeptPages>,
        /// As of a file.
        done: HashSet<u64>,
    },
}

impl Ice {
    /// Opens NAME.freeze and its siblings. For root they have to be root's, unless they are to be trusted. Unless it is not to be verified all of the
    /// .freeze but its pages is compared with its root; the pages' turn is when they are filled in.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        let [.., (_, named)] = set::paths(path);
        if named == path || !named.exists() {
            match given::look(path) {
                Given::Compressed(program) => {
                    return refuse(RefusalKind::Image, given::unpack(path, program, "cryo-thaw"));
                }
                Given::Saved => return Self::saved(path, options),
                Given::Other if path.is_dir() => {
                    let name = path.display();
                    return refuse(
                        RefusalKind::Image,
                        format!(
                            "{name} is a directory: name a set in it, or, if an overseer keeps its sets there, type overseer resume {name}"
                        ),
                    );
                }
                Given::Other if path.exists() => {
                    let name = path.display();
                    return refuse(
                        RefusalKind::Image,
                        format!(
                            "{name}: this is none of the files of a frozen set (NAME.freeze, NAME.frore, NAME.frost, or what came from cryo-freeze -o -)"
                        ),
                    );
                }
                Given::Ours | Given::Other => {}
            }
        }
        let mut set = Set::open(path)?;
        if !options.trust {
            roots_own(set.freeze.input(), set.freeze.name())?;
        }
        if !options.no_verify {
            set.freeze.check()?;
        }
        // These two are small, and read from end to end: a flipped bit between the sections is noticed, too.
        let small = |(profile, path): &(Profile, PathBuf)| -> Result<FileModel> {
            let (file, name) = open_file(path)?;
            if !options.trust {
                roots_own(&file, &name)?;
            }
            let input: Box<dyn Pipe> = Box::new(BufReader::new(file));
            Ok(whole(Stream::named(input, name)?, *profile)?.0)
        };
        let [frore, frost, _] = set::locate(path);
        let (frore, frost) = (small(&frore)?, small(&frost)?);
        let mut sections = Vec::new();
        for entry in set.freeze.chunks() {
            if entry.kind == Extents::KIND {
                break;
            }
            sections.push(Entry { kind: entry.kind, owner: entry.owner, payload: set.freeze.any(entry)? });
        }
        let beside = path.parent().unwrap_or(Path::new(""));
        chain::attach(&mut set.freeze, beside, &|path| Image::open(path))?;
        if !options.trust {
            set.freeze.ancestors().try_for_each(|parent| roots_own(parent.input(), parent.name()))?;
        }
        let freeze = FileModel::new(set.freeze.header().clone(), set.freeze.end().root, sections);
        Ok(Self { frore, frost, freeze, pages: Some(Pages::File { image: set.freeze, done: HashSet::new() }) })
    }

    /// Opens a set that was sent into one file, `cryo-freeze -o - > FILE`.
    fn saved(path: &Path, options: &Options) -> Result<Self> {
        let (file, name) = open_file(path)?;
        if !options.trust {
            roots_own(&file, &name)?;
        }
        Self::pipe_from(Box::new(BufReader::new(file)), path.parent().unwrap_or(Path::new("")), options)
    }

    /// Reads a set from standard input, up to its first page. For root a pipe has to be of root's making, or a file root's, unless it is to be trusted.
    pub fn stdin(options: &Options) -> Result<Self> {
        let about = || "standard input".into();
        let input = File::from(rustix::io::dup(rustix::stdio::stdin()).about(about)?);
        if !options.trust {
            roots_own(&input, "the set on standard input")?;
        }
        Self::pipe_from(Box::new(Stdin::new(input)), Path::new(""), options)
    }

    /// Reads a set from standard input to its end, so that whoever sends it can end; for root as [`Self::stdin`].
    pub fn stdin_whole(options: &Options) -> Result<Self> {
        let about = || "standard input".into();
        let mut input = File::from(rustix::io::dup(rustix::stdio::stdin()).about(about)?);
        if !options.trust {
            roots_own(&input, "the set on standard input")?;
        }
        let mut kept = tempfile::tempfile().about(about)?;
        std::io::copy(&mut input, &mut kept).about(about)?;
        kept.rewind().about(about)?;
        Self::pipe_from(Box::new(BufReader::new(kept)), Path::new(""), options)
    }

    /// Reads a set from a pipe, up to its first page.
    pub fn pipe(input: Box<dyn Pipe>) -> Result<Self> {
        Self::pipe_from(input, Path::new(""), &Options::default())
    }

    /// The same; a parent is looked for in the directory `beside`, then where it was.
    fn pipe_from(input: Box<dyn Pipe>, beside: &Path, options: &Options) -> Result<Self> {
        let (frore, input) = whole(next_file(input, Profile::Frore)?, Profile::Frore)?;
        let (frost, input) = whole(next_file(input, Profile::Frost)?, Profile::Frost)?;
        let mut stream = next_file(input, Profile::Freeze)?;
        let mut sections = Vec::new();
        let mut first = None;
        while let Some(chunk) = stream.next()? {
            if chunk.kind() == Extents::KIND {
                first = Some((chunk.owner(), chunk.section::<Extents>()?));
                break;
            }
            sections.push(Entry { kind: chunk.kind(), owner: chunk.owner(), payload: chunk.any()? });
        }
        let freeze = FileModel::new(stream.header().clone(), cryo_format::prim::Raw::default(), sections);
        let Some(link) = freeze.get::<Link>(0) else {
            return refuse(RefusalKind::Image, "the .freeze has no LINK section before its pages");
        };
        if (link.frore_root, link.frost_root) != (frore.root, frost.root) || freeze.header.set != frost.header.set {
            return refuse(
                RefusalKind::Image,
                "the three files in the pipe are of different freezes: the .freeze names another .frore or .frost as its own",
            );
        }
        let below = match freeze.get::<ParentSet>(0) {
            Some(parent) => {
                let below = chain::find("the .freeze in the pipe", parent.clone(), beside, &|path| Image::open(path))?;
                if !options.trust {
                    let mut parents = std::iter::once(&below.image).chain(below.image.ancestors());
                    parents.try_for_each(|parent| roots_own(parent.input(), parent.name()))?;
                }
                Some(Box::new(below))
            }
            None => None,
        };
        Ok(Self { frore, frost, freeze, pages: Some(Pages::Pipe { stream: Box::new(stream), next: first, below }) })
    }

    fn file(&self, profile: Profile) -> &FileModel {
        match profile {
            Profile::Freeze => &self.freeze,
            Profile::Frore => &self.frore,
            Profile::Frost => &self.frost,
        }
    }

    /// The processes with their local ids, in the order of these: the root first.
    pub fn processes(&self) -> Vec<(u64, &Process)> {
        let mut all: Vec<(u64, &Process)> = self.all().collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// The root of the family, or the only process, and its local id.
    pub fn root(&self) -> Result<(u64, &Process)> {
        self.processes().first().copied().map_or_else(|| refuse(RefusalKind::Image, "the .frost holds no process"), Ok)
    }

    /// The machine of process `id`: that of its threads.
    pub fn arch(&self, id: u64) -> Arch {
        let of_i386 = |thread: u64| self.get::<RegsI386>(thread).is_some();
        let any = self.all::<Thread>().any(|(thread, t)| t.process == id && of_i386(thread));
        if any { Arch::I386 } else { Arch::X86_64 }
    }

    /// All sections of a type, with their owners.
    pub fn all<S: Section>(&self) -> impl Iterator<Item = (u64, &S)> {
        self.file(S::PROFILE).all()
    }

    /// The section of a type that must be there.
    pub fn need<S: Section>(&self, owner: u64) -> Result<&S> {
        match self.file(S::PROFILE).get(owner) {
            Some(s) => Ok(s),
            None => {
                refuse(RefusalKind::Image, format!("the .{} has no {} section for owner {owner}", S::PROFILE, S::KIND))
            }
        }
    }

    /// The section of a type, if it is there.
    pub fn get<S: Section>(&self, owner: u64) -> Option<&S> {
        self.file(S::PROFILE).get(owner)
    }
}

/// An image is a program: whoever can write it decides what is done with the rights of who thaws it. So root thaws only what nobody but root can have
/// written.
fn roots_own(file: &File, name: &str) -> Result<()> {
    if !has_roots_rights() {
        return Ok(());
    }
    let meta = file.metadata().about(|| format!("looking at {name}"))?;
    let others = meta.mode() & 0o002 != 0 || meta.mode() & 0o020 != 0 && meta.gid() != 0;
    let why = if meta.uid() != 0 {
        format!("belongs to user {}", meta.uid())
    } else if meta.is_file() && others {
        "can be written by others than root".into()
    } else {
        return Ok(());
    };
    refuse(
        RefusalKind::Untrusted,
        format!(
            "{name} {why}, and a frozen program does whatever its file says, with the rights of root: use --trust if you trust who wrote it, or thaw it as \
         an ordinary user"
        ),
    )
}

/// Are we root, and not only in a user namespace that an ordinary user has made (`unshare -r`)? /proc/self/uid_map shows who a namespace's root is
/// outside of it (user_namespaces(7)); where that cannot be read we are taken for root.
fn has_roots_rights() -> bool {
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let outside = |line: &str| {
        let mut columns = line.split_whitespace();
        Some((columns.next()?.parse::<u32>().ok()?, columns.next()?.parse::<u32>().ok()?))
    };
    map.lines().filter_map(outside).find(|(inside, _)| *inside == 0).is_none_or(|(_, outside)| outside == 0)
}

/// The file of a set in a pipe that begins here, if it is the one whose turn it is.
fn next_file(input: Box<dyn Pipe>, wanted: Profile) -> Result<Stream<Box<dyn Pipe>>> {
    let order = "a set in one is its .frore, its .frost and its .freeze, in this order: cat NAME.frore NAME.frost NAME.freeze | cryo-thaw -";
    let stream = match Stream::new(input) {
        Err(cryo_format::Error::Empty { .. }) if wanted == Profile::Frore => {
            return refuse(RefusalKind::Image, format!("there is nothing to read where the set should be: {order}"));
        }
        Err(cryo_format::Error::Empty { .. }) => {
            return refuse(RefusalKind::Image, format!("it ends where the .{wanted} should begin: {order}"));
        }
        other => other?,
    };
    match stream.header().profile {
        is if is == wanted => Ok(stream),
        is => refuse(RefusalKind::Image, format!("a .{is} stands where the .{wanted} should: {order}")),
    }
}

/// Reads a whole small file of the set.
fn whole(mut stream: Stream<Box<dyn Pipe>>, profile: Profile) -> Result<(FileModel, Box<dyn Pipe>)> {
    stream.expect(profile)?;
    machine(stream.header())?;
    let mut sections = Vec::new();
    while let Some(chunk) = stream.next()? {
        if !chunk.kind().is_structural() {
            sections.push(Entry { kind: chunk.kind(), owner: chunk.owner(), payload: chunk.any()? });
        }
    }
    let root = stream.end().map(|e| e.root).unwrap_or_default();
    Ok((FileModel::new(stream.header().clone(), root, sections), stream.into_inner()))
}

/// Refuses a file of another architecture.
pub fn machine(header: &Header) -> Result<()> {
    match header.machine {
        EM_X86_64 | EM_386 => {}
        other => {
            return refuse(
                RefusalKind::Machine,
                format!("the image is of another architecture (ELF machine {other}), this machine is x86-64"),
            );
        }
    }
    if header.page_shift != 12 {
        return refuse(
            RefusalKind::Machine,
            format!("the image has pages of 2^{} bytes, this machine 4096", header.page_shift),
        );
    }
    Ok(())
}
