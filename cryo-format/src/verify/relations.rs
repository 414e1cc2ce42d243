//! What sections promise about each other. Each check looks at what the files at hand can tell, so that it holds for one file as for three.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fact, Facts, Finding};
use crate::header::{EM_386, Profile};
use crate::kind::Kind;
use crate::limits::MAX_FINDINGS;
use crate::rules::{Rule, Violation, ensure};
use crate::section::descriptors::{Descriptors, ThreadDescriptors};
use crate::section::files::OpenFile;
use crate::section::link::Link;
use crate::section::mm::Mm;
use crate::section::objects::{Object, Objects};
use crate::section::parent::ParentSet;
use crate::section::process::Process;
use crate::section::regs::{RegsI386, RegsX86_64};
use crate::section::thread::Thread;
use crate::section::vmas::Vmas;
use crate::section::{AnySection, Named, Scope, Section, info};

pub(super) fn check(files: &[Facts]) -> Vec<Finding> {
    let mut all = Relations { files, findings: Vec::new() };
    // Of files that do not belong together all else follows from that.
    all.link();
    all.twice();
    all.ids();
    all.owners();
    all.mappings();
    all.descriptors();
    all.registers();
    all.extents();
    all.heirs();
    all.names();
    all.findings
}

struct Relations<'a> {
    files: &'a [Facts],
    findings: Vec<Finding>,
}

type Place<'a> = (&'a Facts, &'a Fact);

impl<'a> Relations<'a> {
    fn file(&self, profile: Profile) -> Option<&'a Facts> {
        self.files.iter().find(|f| f.header.profile == profile)
    }

    fn facts(&self) -> impl Iterator<Item = Place<'a>> + use<'a> {
        self.files.iter().flat_map(|file| file.sections.iter().map(move |fact| (file, fact)))
    }

    fn all<S: Section>(&self) -> impl Iterator<Item = (Place<'a>, &'a S)> + use<'a, S> {
        self.facts().filter_map(|place| S::of(&place.1.section).map(|section| (place, section)))
    }

    /// Owners of the sections of a type, if the file that they stand in is here.
    fn owners_of<S: Section>(&self) -> Option<BTreeSet<u64>> {
        self.file(S::PROFILE)?;
        Some(self.all::<S>().map(|((_, fact), _)| fact.owner).collect())
    }

    fn objects(&self) -> Option<BTreeMap<u64, &'a Object>> {
        self.file(Objects::PROFILE)?;
        Some(self.all::<Objects>().flat_map(|(_, o)| &o.objects).map(|o| (o.id, o)).collect())
    }

    fn check(&mut self, (file, fact): Place<'_>, result: Result<(), Violation>) {
        if let Err(v) = result
            && self.findings.len() < MAX_FINDINGS
        {
            let message = format!("chunk {}: {}", fact.info.kind, v.detail);
            self.findings.push(Finding { file: file.name.clone(), offset: fact.offset, rule: v.rule, message });
        }
    }

    fn found(&mut self, file: &Facts, offset: u64, v: &Violation) {
        if self.findings.len() >= MAX_FINDINGS {
            return;
        }
        self.findings.push(Finding { file: file.name.clone(), offset, rule: v.rule, message: v.detail.clone() });
    }

    /// Rule 74, as far as this set shows it.
    fn heirs(&mut self) {
        let named: BTreeSet<u64> =
            self.all::<ParentSet>().flat_map(|(_, p)| p.owners.iter().map(|h| h.owner)).collect();
        for file in self.files {
            for (owner, offset) in &file.heirs {
                let there = ensure(named.contains(owner), Rule::PARENT, || {
                    format!("pages of owner {owner} are with a parent, and no PRNT names it")
                });
                if let Err(v) = there {
                    self.found(file, *offset, &v);
                }
            }
        }
    }

    /// Rule 27.
    fn twice(&mut self) {
        let mut seen = BTreeSet::new();
        for (file, fact) in self.facts() {
            let new = seen.insert((file.header.profile, fact.info.kind, fact.owner));
            self.check((file, fact), ensure(new, Rule::TWICE, || format!("owner {} has one already", fact.owner)));
        }
    }

    /// Rule 57: what each id is, as far as sections say it of themselves.
    fn ids(&mut self) {
        let mut kinds: BTreeMap<u64, &str> = BTreeMap::new();
        for (file, fact) in self.facts() {
            let mut claims: Vec<(u64, &str)> = Vec::new();
            match fact.info.scope {
                Scope::Process => claims.push((fact.owner, "a process")),
                Scope::Thread => claims.push((fact.owner, "a thread")),
                Scope::Description => claims.push((fact.owner, "a description")),
                Scope::Image | Scope::ProcessOrThread | Scope::Memory => {}
            }
            if let Some(objects) = Objects::of(&fact.section) {
                claims.extend(objects.objects.iter().map(|o| (o.id, "an object")));
            }
            for (id, kind) in claims {
                let known = *kinds.entry(id).or_insert(kind);
                self.check(
                    (file, fact),
                    ensure(known == kind, Rule::LOCAL_ID, || format!("{id} is {kind} here, and {known} elsewhere")),
                );
            }
        }
    }

    /// Rules 53 and 56.
    fn owners(&mut self) {
        let processes = self.owners_of::<Process>();
        let threads = self.owners_of::<Thread>();
        let missing = |known: &Option<BTreeSet<u64>>, id: u64| known.as_ref().is_some_and(|ids| !ids.contains(&id));
        for (file, fact) in self.facts() {
            let id = fact.owner;
            let right = match fact.info.scope {
                Scope::Image => id == 0,
                Scope::Process => id != 0 && !missing(&processes, id),
                Scope::Thread => id != 0 && !missing(&threads, id),
                Scope::ProcessOrThread => id != 0 && !(missing(&processes, id) && missing(&threads, id)),
                Scope::Description | Scope::Memory => id != 0,
            };
            let wanted = match fact.info.scope {
                Scope::Image => "0, the image",
                Scope::Process => "a process",
                Scope::Thread => "a thread",
                Scope::ProcessOrThread => "a process or a thread",
                Scope::Description => "a description",
                Scope::Memory => "a process or an object",
            };
            self.check((file, fact), ensure(right, Rule::OWNER, || format!("its owner {id} is not {wanted}")));
        }
        for (place, thread) in self.all::<Thread>() {
            let id = thread.process;
            self.check(
                place,
                ensure(!missing(&processes, id), Rule::THREAD_PROCESS, || format!("its process {id} has no PROC")),
            );
        }
    }

    /// Rules 41, 51, 52 and 55.
    fn mappings(&mut self) {
        for (file, fact) in self.facts() {
            let page = file.header.page_size();
            let result = match &fact.section {
                AnySection::Vmas(vmas) => vmas.check(page),
                AnySection::Guards(guards) => guards.check(page),
                AnySection::Forked(forked) => forked.check(page),
                AnySection::Mbind(ranges) => ranges.check(page),
                AnySection::Touched(touched) => touched.check(page),
                _ => Ok(()),
            };
            self.check((file, fact), result);
        }
        let Some(objects) = self.objects() else { return };
        for (place, vmas) in self.all::<Vmas>() {
            for v in &vmas.vmas {
                let there = v.object == 0 || objects.contains_key(&v.object);
                self.check(
                    place,
                    ensure(there, Rule::VMA_OBJECT, || {
                        format!("{}-{} maps object {}, which is not in OBJS", v.start, v.end, v.object)
                    }),
                );
            }
        }
        for (place, mm) in self.all::<Mm>() {
            let there = mm.exe == 0 || objects.contains_key(&mm.exe);
            self.check(
                place,
                ensure(there, Rule::EXE_OBJECT, || {
                    format!("the executable is object {}, which is not in OBJS", mm.exe)
                }),
            );
        }
        for (place, file) in self.all::<OpenFile>() {
            let there = file.object == 0 || objects.contains_key(&file.object);
            self.check(
                place,
                ensure(there, Rule::FILE_OBJECT, || {
                    format!("its content is object {}, which is not in OBJS", file.object)
                }),
            );
        }
    }

    /// Rule 54.
    fn descriptors(&mut self) {
        let known = self.facts().filter(|(_, f)| f.info.scope == Scope::Description).map(|(_, f)| f.owner);
        let known: BTreeSet<u64> = known.collect();
        let of_processes = self.all::<Descriptors>().map(|(place, table)| (place, &table.descriptors));
        let of_threads = self.all::<ThreadDescriptors>().map(|(place, table)| (place, &table.descriptors));
        for (place, descriptors) in of_processes.chain(of_threads) {
            for d in descriptors {
                let there = known.contains(&d.description);
                self.check(
                    place,
                    ensure(there, Rule::DESCRIPTOR, || {
                        format!("descriptor {} refers to description {}, which has no section", d.fd, d.description)
                    }),
                );
            }
        }
    }

    /// Rule 65.
    fn names(&mut self) {
        let mut owners: BTreeMap<Kind, BTreeSet<u64>> = BTreeMap::new();
        let mut descriptions = BTreeSet::new();
        for (_, fact) in self.facts() {
            owners.entry(fact.info.kind).or_default().insert(fact.owner);
            if fact.info.scope == Scope::Description {
                descriptions.insert(fact.owner);
            }
        }
        let objects = self.objects();
        for (file, fact) in self.facts() {
            for (what, id) in fact.section.names().into_iter().filter(|(_, id)| *id != 0) {
                let there = match what {
                    // That the file with this kind is not at hand proves nothing.
                    Named::OwnerOf(kind) => {
                        let missing = info(kind).is_some_and(|info| self.file(info.profile).is_none());
                        missing || owners.get(&kind).is_some_and(|owners| owners.contains(&id))
                    }
                    Named::Table => {
                        let has = |kind| owners.get(&kind).is_some_and(|owners| owners.contains(&id));
                        has(Descriptors::KIND) || has(ThreadDescriptors::KIND)
                    }
                    Named::Object => objects.as_ref().is_none_or(|objects| objects.contains_key(&id)),
                    Named::Description => descriptions.contains(&id),
                };
                self.check(
                    (file, fact),
                    ensure(there, Rule::NAMED, || match what {
                        Named::OwnerOf(kind) => format!("it names {id}, which has no {kind}"),
                        Named::Table => format!("it names {id}, which has no table of descriptors"),
                        Named::Object => format!("it names object {id}, which is not in OBJS"),
                        Named::Description => format!("it names description {id}, which has no section"),
                    }),
                );
            }
        }
    }

    /// Rule 58.
    fn registers(&mut self) {
        let Some(freeze) = self.file(Profile::Freeze) else { return };
        let mut sets: BTreeMap<u64, usize> = BTreeMap::new();
        for (place, _) in self.all::<RegsX86_64>() {
            *sets.entry(place.1.owner).or_default() += 1;
            let fits = freeze.header.machine != EM_386;
            self.check(place, ensure(fits, Rule::REGISTERS, || "registers of x86-64 in an image of an i386 machine"));
        }
        for (place, _) in self.all::<RegsI386>() {
            *sets.entry(place.1.owner).or_default() += 1;
        }
        for (place, fact) in self.facts() {
            let is_thread = fact.info.scope == Scope::Thread && fact.info.profile == Profile::Freeze
                || fact.info.kind == Thread::KIND;
            if !is_thread {
                continue;
            }
            let n = sets.get(&fact.owner).copied().unwrap_or(0);
            let wanted = usize::from(Thread::of(&fact.section).is_none_or(|t| t.exited != 1));
            self.check(
                (place, fact),
                ensure(n == wanted, Rule::REGISTERS, || {
                    format!("thread {} has {n} sets of general registers", fact.owner)
                }),
            );
        }
    }

    /// Rules 48, 56 and 59.
    fn extents(&mut self) {
        let Some(freeze) = self.file(Profile::Freeze) else { return };
        let Some(objects) = self.objects() else { return };
        let maps: BTreeMap<u64, Vec<(u64, u64)>> = self
            .all::<Vmas>()
            .map(|((_, fact), vmas)| (fact.owner, joined(vmas.vmas.iter().map(|v| (v.start.0, v.end.0)))))
            .collect();
        let page = freeze.header.page_size();
        for range in &freeze.ranges {
            let at = format!("{:#x}-{:#x}", range.start, range.end);
            let result = match (objects.get(&range.owner), maps.get(&range.owner)) {
                (Some(object), _) => ensure(object.embedded == 1, Rule::EMBEDDED, || {
                    format!("object {} is not embedded, and has EXTS", object.id)
                })
                .and_then(|()| {
                    let end = object.size.checked_next_multiple_of(page).unwrap_or(u64::MAX);
                    ensure(range.end <= end, Rule::EXTENT_PLACE, || {
                        format!("extents {at} lie behind the end of object {}, {:#x}", object.id, object.size)
                    })
                }),
                (None, Some(maps)) => {
                    // Maps that do not ascend were found already.
                    let before = maps.partition_point(|(start, _)| *start <= range.start);
                    let inside = before > 0 && range.end <= maps[before - 1].1;
                    ensure(inside, Rule::EXTENT_PLACE, || {
                        format!("extents {at} of process {} lie in no mapping", range.owner)
                    })
                }
                (None, None) => Err(Rule::OWNER
                    .broken(format!("owner {} of EXTS is neither a process with mappings nor an object", range.owner))),
            };
            if let Err(v) = result {
                self.found(freeze, range.offset, &v);
            }
        }
    }

    /// Rules 70 to 73.
    fn link(&mut self) {
        let Some(freeze) = self.file(Profile::Freeze) else { return };
        let Some((_, link)) = self.all::<Link>().next() else {
            return self.found(freeze, 0, &Rule::LINK.broken("it has no LINK section"));
        };
        for file in self.files {
            // A file without END was found already.
            let (Some(root), true) = (file.root, file.header.profile != Profile::Freeze) else { continue };
            if let Err(v) = link.admits(&freeze.header, &file.header, &root) {
                let v = v.rule.broken(format!("it does not belong to {}: {}", freeze.name, v.detail));
                self.found(file, 0, &v);
            }
        }
    }
}

/// Ascending ranges, with those that touch made one.
fn joined(ranges: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    let mut out: Vec<(u64, u64)> = Vec::new();
    for (start, end) in ranges {
        match out.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => out.push((start, end)),
        }
    }
    out
}
