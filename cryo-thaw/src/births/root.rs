//! The root: from nothing, or as a copy of one that is held with its memory (`templates`).

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::rc::Rc;

use cryo_format::section::forked::ForkedRange;
use cryo_format::section::mempolicy::Mbind;
use cryo_format::section::mm::Mm;
use cryo_format::section::objects::Objects;
use cryo_format::section::vmas::{Backing, VmFlags, Vma, Vmas};
use cryo_tracee::{Host, fds};

use super::Births;
use crate::Result;
use crate::error::{About, RefusalKind, refuse};
use crate::fill::{self, Filler, Target, Turn};
use crate::host::{self, Executable};
use crate::ice::Pages;
use crate::kept_pages::{Keep, KeptPages};
use crate::plan::{Birth, Step};
use crate::posix_shm::Made;
use crate::remap::{Remapper, Shape, Template};
use crate::restore::descriptors::{self, Lent};
use crate::restore::table::Table;
use crate::restore::{limits, mempolicy, mm};
use crate::unlinked;

/// What copies of a root begin with.
pub struct HeldRoot {
    /// Its mappings. All others of the image each copy makes for itself.
    pub vmas: Vec<Vma>,
    /// What became of these.
    pub shape: Shape,
    /// What is executed in the family.
    pub executables: Rc<Vec<Executable>>,
    /// Where the root has those of them that its descendants execute, by our own numbers.
    pub handed_down: Vec<(u32, u64)>,
    /// The pages that each copy is filled with.
    pub kept: Rc<KeptPages>,
}

/// A copy of a process that has the memory of a held one, and nothing else yet.
pub struct CopiedRoot<'a> {
    /// It.
    pub host: Host,
    /// What it has.
    pub held: &'a HeldRoot,
    /// What it has of whoever asked for it, by the numbers there.
    pub lent: Vec<(u32, u64)>,
}

impl<'a> Births<'a> {
    /// Makes a root with these of its mappings and their pages, and nothing else: what copies are made of. All other pages are kept.
    pub fn hold_root(&mut self, vmas: Vec<Vma>, pages: &mut Option<Pages>) -> Result<(Host, HeldRoot)> {
        let (mut host, shape) = self.shaped(Some(&vmas))?;
        let (ice, id) = (self.ice, self.prepared.members[0].id);
        mm::restore(&mut host, ice.need(id)?)?;
        let pidfd = fds::pidfd(host.pid())?;
        let file = |(object, fd): (&u64, &u64)| Ok((*object, fds::take(&pidfd, *fd as i32)?.into()));
        let files: HashMap<u64, File> = shape.unlinked.iter().map(file).collect::<Result<_>>()?;
        let keep = Keep::but(id, &vmas, &files);
        if let Some(pages) = pages {
            let all = &ice.need::<Vmas>(id)?.vmas;
            let targets = [Target { process: id, memory: host.memory(), vmas: all, shape: &shape }];
            fill::fill(pages, &Filler { keep: Some(&keep), ..self.filler(&targets, &files) }, Turn::Rest)?;
        }
        let kept = Rc::new(keep.into());
        if let Some(bridge) = &shape.vdso {
            bridge.build(&host)?;
        }
        fill::trim(&host, &files, &ice.need::<Objects>(0)?.objects)?;
        let ours = self.handed_down().iter().flat_map(Executable::descriptors);
        let handed_down = ours.map(|fd| (fd as u32, fd as u64)).collect();
        Ok((host, HeldRoot { vmas, shape, executables: self.executables.clone(), handed_down, kept }))
    }

    /// The root with its descriptors, and with all that the others are born with.
    pub(super) fn root(&mut self) -> Result<Table<'a>> {
        let (ice, options, paths) = (self.ice, self.options, self.paths(0));
        let (mut host, shape, lent) = match self.copy.take() {
            Some(copy) => {
                self.executables = copy.held.executables.clone();
                let (host, shape) = self.completed(copy.host, copy.held)?;
                (host, shape, Some(Lent { callers: copy.lent, executables: &copy.held.handed_down }))
            }
            None => {
                let (host, shape) = self.shaped(None)?;
                (host, shape, None)
            }
        };
        let ids: Vec<u64> = self.prepared.members.iter().map(|m| m.id).collect();
        let mut table = descriptors::table(&host, &ice.frore, &ice.frost, &ids, paths, options)?;
        for (object, file) in self.ready.shm.iter().flat_map(Made::files) {
            table.fill_through(object, file.try_clone().about(|| "POSIX shared memory".into())?);
        }
        descriptors::restore(&mut host, &mut table, &shape.unlinked, lent)?;
        self.ready.hosts.push((host, shape));
        self.make_unlinked(&mut table)?;
        self.settle(&mut table, 0)?;
        Ok(table)
    }

    /// A root in the shape of its template, or of these of its mappings, without pages.
    fn shaped(&mut self, only: Option<&[Vma]>) -> Result<(Host, Shape)> {
        self.find_executables()?;
        let (ice, options, paths) = (self.ice, self.options, self.paths(0));
        let id = self.prepared.members[0].id;
        let Some(own) = self.executables.first() else { return refuse(RefusalKind::Internal, "no executable") };
        let mut host = host::start(ice, id, self.ids, own, self.handed_down(), options)?;
        limits::lift(host.pid(), ice.get(id))?;
        let mut template = self.template(0)?;
        let bound = ice.get::<Mbind>(id);
        let remapper = Remapper {
            road: options.remap,
            paths,
            executable: own.embedded(),
            notes: &options.notes,
            unlinked: &HashMap::new(),
        };
        let Some(vmas) = only else {
            let shape = remapper.remap(&mut host, &template)?;
            mempolicy::ranges(&mut host, bound, &options.notes)?;
            return Ok((host, shape));
        };
        // What is left out now is to be free in each copy, and what they have in common each family makes for itself.
        template.descendants.push(template.vmas);
        let shape = remapper.remap(&mut host, &Template { vmas, common: HashSet::new(), ..template })?;
        let there = |at| vmas.iter().any(|v| v.start <= at && at < v.end);
        let bound = bound.map(|b| b.ranges.iter().filter(|r| there(r.start)).cloned().collect::<Vec<_>>());
        mempolicy::ranges(&mut host, bound.map(|ranges| Mbind { ranges: ranges.into() }).as_ref(), &options.notes)?;
        Ok((host, shape))
    }

    /// Gives a copy of the held root the mappings that it has not.
    fn completed(&self, mut host: Host, held: &HeldRoot) -> Result<(Host, Shape)> {
        let (ice, options, paths) = (self.ice, self.options, self.paths(0));
        let id = self.prepared.members[0].id;
        let template = self.template(0)?;
        if held.vmas.len() == template.vmas.len() && template.common.is_empty() {
            return Ok((host, held.shape.in_common()));
        }
        let forked = |v: &&Vma| {
            matches!(v.backing, Backing::ANONYMOUS | Backing::PRIVATE_FILE) && !v.flags.has(VmFlags::WIPEONFORK)
        };
        let forked = held.vmas.iter().filter(forked).map(|v| ForkedRange { start: v.start, end: v.end });
        let (road, unlinked) = (options.remap, &held.shape.unlinked);
        let remapper = Remapper { road, paths, executable: None, notes: &options.notes, unlinked };
        let parent = (&held.vmas[..], &held.shape);
        let shape = remapper.remap_forked(&mut host, parent, &template, &forked.collect::<Vec<_>>())?;
        mempolicy::ranges(&mut host, ice.get(id), &options.notes)?;
        Ok((host, shape))
    }

    /// One for each object that is executed by one who was not forked from its parent.
    fn find_executables(&mut self) -> Result<()> {
        let mut found: Vec<Executable> = Vec::new();
        for step in &self.prepared.steps {
            let Step::Birth(i, _, Birth::Start | Birth::Exec | Birth::Orphan, _) = step else { continue };
            let id = self.prepared.members[*i].id;
            let object = self.ice.need::<Mm>(id)?.exe;
            if found.iter().all(|e| e.object != object) {
                found.push(Executable::of(self.ice, id, &self.rights[*i], self.options)?);
            }
        }
        self.executables = Rc::new(found);
        Ok(())
    }

    /// Those that the root's descendants execute.
    fn handed_down(&self) -> &[Executable] {
        let executes = |step: &Step| matches!(step, Step::Birth(_, _, Birth::Exec | Birth::Orphan, _));
        if self.prepared.steps.iter().any(executes) { &self.executables[..] } else { &[] }
    }

    /// Files without a name that only other members have mapped, or execute: the root makes them, and all are born with them.
    fn make_unlinked(&mut self, table: &mut Table<'a>) -> Result<()> {
        let ice = self.ice;
        for (object, fd) in self.executables.iter().filter_map(Executable::embedded) {
            let parked = table.handed_down(fd as u32).filter(|_| table.parked(object, 0).is_none());
            if let Some(parked) = parked {
                table.remember(object, 0, parked);
                table.fill_through(object, fds::take(table.pidfd(), parked as i32)?.into());
            }
        }
        for member in &self.prepared.members[1..] {
            for vma in &ice.need::<Vmas>(member.id)?.vmas {
                let Ok(object) = table.objects.binary_search_by_key(&vma.object, |o| o.id) else { continue };
                let object = &table.objects[object];
                if !unlinked::is(object) || table.parked(object.id, 0).is_some() {
                    continue;
                }
                let host = self.host(0)?;
                let made = unlinked::make(host, object)?;
                let parked = table.keep(host, object.id, 0, made)?;
                table.fill_through(object.id, fds::take(table.pidfd(), parked as i32)?.into());
            }
        }
        Ok(())
    }
}
