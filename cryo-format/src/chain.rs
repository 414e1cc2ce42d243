//! Sets that have pages with a parent: the .freeze files below one, and how they are found (spec/10-linking.md).

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::header::Profile;
use crate::image::{Image, ReadAt};
use crate::section::parent::ParentSet;

/// The parent of a set.
pub struct Below<R = File> {
    /// Its .freeze.
    pub image: Image<R>,
    /// What the set says of it.
    pub parent: ParentSet,
}

/// How a .freeze is opened.
pub type Open<'a, R> = &'a dyn Fn(&Path) -> Result<Image<R>>;

/// Opens what is below `image`, all the way down; nothing if it is whole. Parents are looked for in the directory `beside`, then where they were when
/// the set was made; their ids and roots decide, and all but the pages is compared with the root.
pub fn attach<R: ReadAt>(image: &mut Image<R>, beside: &Path, open: Open<'_, R>) -> Result<()> {
    if let Some(parent) = image.get::<ParentSet>(0)? {
        let below = find(image.name(), parent, beside, open)?;
        image.stand_on(below);
    }
    Ok(())
}

/// The parent that the set `child` names, with what is below it.
pub fn find<R: ReadAt>(child: &str, parent: ParentSet, beside: &Path, open: Open<'_, R>) -> Result<Below<R>> {
    let recorded = PathBuf::from(OsStr::from_bytes(&parent.name));
    let mut places = vec![recorded.clone()];
    if let Some(name) = recorded.file_name() {
        places.insert(0, beside.join(name));
    }
    let mut other = None;
    for path in places.iter().filter(|path| path.exists()) {
        let mut image = open(path)?;
        image.expect(Profile::Freeze)?;
        if image.header().set != parent.set || image.root_as_parent()? != parent.root {
            other.get_or_insert_with(|| path.display().to_string());
            continue;
        }
        image.check()?;
        // Each has one less below it: so there is an end.
        let deeper = image.get::<ParentSet>(0)?.map_or(0, |next| next.depth);
        if deeper.checked_add(1) != Some(parent.depth) {
            return Err(Error::Chain { file: child.to_owned(), says: parent.depth, found: deeper });
        }
        attach(&mut image, path.parent().unwrap_or(Path::new("")), open)?;
        return Ok(Below { image, parent });
    }
    Err(Error::Parent {
        file: child.to_owned(),
        parent: recorded.display().to_string(),
        set: parent.set,
        root: parent.root,
        other,
    })
}

impl<R> Image<R> {
    /// The images below this one, the nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = &Image<R>> {
        std::iter::successors(self.below().map(|b| &b.image), |image| image.below().map(|b| &b.image))
    }
}
