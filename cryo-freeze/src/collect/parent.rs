//! `--parent`: a set that has been written before, whose pages are not written again (`PRNT`).
//!
//! Pages are compared byte for byte with what the parent has of the same owner at the same address, so nothing depends on the guess who is who; but of those that a
//! tracer has watched since the parent was made ([`crate::live::Remembered`]) it is known.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cryo_format::chain;
use cryo_format::image::Image;
use cryo_format::limits::MAX_CHAIN;
use cryo_format::memory::Memory;
use cryo_format::section::Section;
use cryo_format::section::extents::Extents;
use cryo_format::section::objects::{Object, Objects};
use cryo_format::section::parent::{Heir, ParentSet};
use cryo_format::section::process::Process;
use cryo_format::set::{self, Set};

use super::{Collected, Contents};
use crate::Result;
use crate::error::{About, RefusalKind, refuse};
use crate::live::SetId;

/// The set, opened.
pub struct Parent {
    set: Set,
    section: ParentSet,
}

/// What a set has of its own owners, by their local ids there.
pub type Owners<'a> = HashMap<u64, Memory<'a>>;

impl Parent {
    /// Opens it with all that is below it. `output`: the .freeze that is about to be written.
    pub fn open(name: &Path, output: Option<&Path>) -> Result<Self> {
        let [.., (_, path)] = set::paths(name);
        if !path.exists() && name.is_file() {
            return refuse(
                RefusalKind::Argument,
                format!(
                    "--parent {}: there is no {}: a set in one file, as it comes out of a pipe, cannot be a parent",
                    name.display(),
                    path.display()
                ),
            );
        }
        let mut set = Set::open(&path)?;
        chain::attach(&mut set.freeze, path.parent().unwrap_or(Path::new("")), &|path| Image::open(path))?;
        set.freeze.check()?;
        let below = set.freeze.get::<ParentSet>(0)?.map_or(0, |parent| parent.depth);
        let shown = name.display();
        if below >= MAX_CHAIN {
            return refuse(
                RefusalKind::Argument,
                format!(
                    "--parent {shown}: there are {below} sets below it already, and no more may be: cryo-inspect flatten {shown} -o WHOLE, and use \
                     --parent WHOLE"
                ),
            );
        }
        let real = |path: &Path| path.canonicalize().ok();
        let output = output.and_then(real);
        let in_the_way = |image: &&Image| output.is_some() && real(Path::new(image.name())) == output;
        if let Some(image) = std::iter::once(&set.freeze).chain(set.freeze.ancestors()).find(in_the_way) {
            return refuse(
                RefusalKind::Output,
                format!("{}: the new set would need it and replace it: use -o NAME for another name", image.name()),
            );
        }
        let at: PathBuf = std::path::absolute(&path).about(|| path.display().to_string())?;
        let section = ParentSet {
            set: set.freeze.header().set,
            root: set.freeze.root_as_parent()?,
            depth: below + 1,
            reserved: 0,
            name: at.as_os_str().as_bytes().to_vec().into(),
            owners: Vec::new().into(),
        };
        Ok(Self { set, section })
    }

    /// Which set it is.
    pub fn set(&self) -> SetId {
        (self.section.set, self.section.root)
    }

    /// Looks who of the owners of pages is whom in the parent: a process by its pid, or the only one; an object by what it is.
    pub fn collect(&self, contents: &Contents, out: &mut Collected) -> Result<Vec<Heir>> {
        let heirs = self.heirs(contents, out)?;
        out.add(0, ParentSet { owners: heirs.clone().into(), ..self.section.clone() });
        Ok(heirs)
    }

    /// The same, and nothing is collected.
    pub fn heirs(&self, contents: &Contents, out: &Collected) -> Result<Vec<Heir>> {
        let theirs = self.set.all::<Process>()?;
        let alone = |id: u64| (theirs.len() == 1 && contents.members.len() == 1).then_some(id);
        let by_pid: HashMap<u64, u64> = theirs.iter().map(|(id, p)| (p.pid, *id)).collect();
        let objects = self.set.get::<Objects>(0)?.unwrap_or_default();
        let key = |o: &Object| (o.kind, o.path.clone(), o.dev, o.ino);
        let by_key: HashMap<_, u64> = objects.objects.iter().map(|o| (key(o), o.id)).collect();
        let ours = out.section::<Objects>(0).cloned().unwrap_or_default();
        let mut owners = Vec::new();
        for owner in contents.all.keys() {
            let parent = match contents.members.iter().find(|m| m.id == *owner) {
                Some(m) => {
                    let pid = out.section::<Process>(m.id).map_or(m.pid as u64, |p| p.pid);
                    by_pid.get(&pid).copied().or_else(|| alone(theirs.first()?.0))
                }
                None => ours.objects.iter().find(|o| o.id == *owner).and_then(|o| by_key.get(&key(o)).copied()),
            };
            owners.extend(parent.map(|parent| Heir { owner: *owner, parent }));
        }
        Ok(owners)
    }

    /// The pages of all that it has. It takes a while for a large set: all of its extents are read.
    pub fn owners(&self) -> Result<Owners<'_>> {
        let owners =
            self.set.freeze.chunks().iter().filter(|entry| entry.kind == Extents::KIND).map(|entry| entry.owner);
        let owners: BTreeSet<u64> = owners.collect();
        owners.into_iter().map(|owner| Ok((owner, self.set.freeze.memory(owner)?))).collect()
    }

    /// Those of the heirs of these owners, by the ids of the heirs.
    pub fn memories<'a>(heirs: &[Heir], owners: &Owners<'a>) -> HashMap<u64, Memory<'a>> {
        heirs.iter().filter_map(|heir| Some((heir.owner, owners.get(&heir.parent)?.again()))).collect()
    }
}
