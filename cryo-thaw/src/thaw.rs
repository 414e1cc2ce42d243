//! The thaw itself, from the open set to the processes that go on.

use std::collections::BTreeMap;
use std::rc::Rc;

use cryo_format::given;
use cryo_tracee::FsRights;

use crate::births::Births;
use crate::foreground::Foreground;
use crate::ice::{Ice, Pages};
use crate::ids::Ids;
use crate::options::Options;
use crate::posix_shm::{self, Made};
use crate::prepared::{Member, Prepared, prepare};
use crate::ready::Ready;
use crate::restore::{clocks, credentials};
use crate::{Result, finish, identity};

/// Thaws a set, with the ids that were decided on, up to the point from which it runs; `foreground` is the terminal that it takes over, if it runs in
/// one. The root that comes of it is a child of ours.
pub fn thaw(mut ice: Ice, ids: Ids, options: &Options, foreground: Option<&Foreground>) -> Result<Ready> {
    let mut prepared = prepare(&mut ice, options)?;
    let mut pages = ice.pages.take();
    clocks::restore(&ice, options)?;
    let rights =
        prepared.members.iter().map(|m| credentials::fs_rights(&ice, m.id, options)).collect::<Result<Vec<_>>>()?;
    let shm = match rights.first() {
        Some(rights) => posix_shm::make(&mut ice, rights, &options.notes)?,
        None => Made::default(),
    };
    prepared.named.extend(shm.files().map(|(object, _)| object));
    let mut births = births(&ice, ids, options, &prepared, &rights);
    births.foreground = foreground;
    births.ready.shm = Some(shm);
    bring_back(births, &mut pages)
}

/// A family of which nobody is there yet.
pub(crate) fn births<'a>(
    ice: &'a Ice,
    ids: Ids,
    options: &'a Options,
    prepared: &'a Prepared,
    rights: &'a [FsRights],
) -> Births<'a> {
    Births {
        ice,
        ids,
        options,
        foreground: None,
        prepared,
        rights,
        same_machine: identity::same_machine(ice),
        ready: Ready::default(),
        zombies: BTreeMap::new(),
        stand_ins: Vec::new(),
        executables: Rc::default(),
        copy: None,
    }
}

/// Makes all of a family, up to the point from which it runs.
pub(crate) fn bring_back(mut births: Births<'_>, pages: &mut Option<Pages>) -> Result<Ready> {
    let (options, prepared) = (births.options, births.prepared);
    let mut table = births.all(pages)?;
    for i in 0..prepared.members.len() {
        finish::finish(&mut births, i, &mut table)?;
    }
    for map in options.file_map.iter().filter(|map| !map.was_used()) {
        let old = given::quoted(&map.old);
        options.notes.add(format!("--file-map {old}=...: the image has nothing at {old}: it was of no use"));
    }
    let stopped = |m: &&Member| m.process.stopped_by != 0;
    if let Some(one) = prepared.members.iter().find(stopped).filter(|_| !options.stopped) {
        let who = match prepared.members.iter().filter(stopped).count() {
            1 if prepared.members.len() == 1 => "it was".to_owned(),
            1 => format!("process {} was", one.process.pid),
            n => format!("{n} processes were"),
        };
        options.notes.add(format!("{who} stopped at the freeze (a job-control stop), and so again: kill -CONT, or fg in the foreground, lets it go on"));
    }
    births.ready.bound = Some(table.bound);
    Ok(births.ready)
}
