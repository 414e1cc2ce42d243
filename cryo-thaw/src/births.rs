//! The births of a family, as they were planned: each process is made by its parent, gets the shape of its memory, its descriptors and its pages, and
//! only then makes its own children, who so begin with what fork(2) gives them.

mod groups;
mod root;

pub use root::{CopiedRoot, HeldRoot};

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::rc::Rc;

use cryo_format::section::credentials::Credentials;
use cryo_format::section::family::{Family, Zombie};
use cryo_format::section::forked::Forked;
use cryo_format::section::mm::Mm;
use cryo_format::section::objects::Objects;
use cryo_format::section::vmas::Vmas;
use cryo_tracee::{FsRights, Host};

use crate::Result;
use crate::common;
use crate::error::{Doing, RefusalKind, refuse};
use crate::fill::{self, Filler, Target, Turn};
use crate::foreground::Foreground;
use crate::host::{self, Executable};
use crate::ice::{Ice, Pages};
use crate::identity::Paths;
use crate::ids::Ids;
use crate::lazy;
use crate::options::Options;
use crate::personality;
use crate::plan::{Birth, Step, Who};
use crate::prepared::Prepared;
use crate::ready::Ready;
use crate::remap::{Remapper, Shape, Template};
use crate::restore::table::Table;
use crate::restore::{descriptors, limits, mempolicy, mm, process, removed, sessions};
use crate::unlinked;

/// A family under way. Dropping it ends all that are there.
pub struct Births<'a> {
    /// The image.
    pub ice: &'a Ice,
    /// Which ids they get.
    pub ids: Ids,
    /// The person's choices.
    pub options: &'a Options,
    /// The terminal that the root takes over.
    pub foreground: Option<&'a Foreground>,
    /// Who they are, and how they come to be.
    pub prepared: &'a Prepared,
    /// With which rights each follows paths.
    pub rights: &'a [FsRights],
    /// See [`Paths`].
    pub same_machine: bool,
    /// Those that are there, in the members' order.
    pub ready: Ready,
    /// The zombies, which live yet.
    pub zombies: BTreeMap<usize, (Host, usize)>,
    /// Who leads a group whose own leader has ended, or holds one: the number, the process, and who made it.
    pub stand_ins: Vec<(u64, Host, Who)>,
    /// What is executed: the root's first.
    pub executables: Rc<Vec<Executable>>,
    /// The root, if it is a copy of one that has its memory already.
    pub copy: Option<CopiedRoot<'a>>,
}

impl<'a> Births<'a> {
    /// How member `i` follows paths.
    pub fn paths(&self, i: usize) -> Paths<'a> {
        Paths { rights: &self.rights[i], same_machine: self.same_machine, named: &self.prepared.named }
    }

    /// Makes them all, and fills their memory.
    pub fn all(&mut self, pages: &mut Option<Pages>) -> Result<Table<'a>> {
        let mut table = self.root()?;
        self.control(&mut table, 0)?;
        self.fill(pages, &table, 0)?;
        for step in &self.prepared.steps[1..] {
            match *step {
                Step::Birth(i, Some(parent), how, session) => {
                    self.birth(&mut table, i, (parent, session), how)?;
                    self.fill(pages, &table, i)?;
                }
                Step::Birth(_, None, ..) => return refuse(RefusalKind::Internal, "a second root"),
                Step::Session(i) => {
                    self.host(i)?.call(libc::SYS_setsid, [0; 6]).doing(|| "beginning its session".into())?;
                    self.control(&mut table, i)?;
                }
                Step::Zombie(i, parent) => {
                    let zombie = &self.family_zombies()[i];
                    let (pid, signal) = (self.wanted(zombie.pid), zombie.exit_signal as i32);
                    let mut host = self.host(parent)?.fork(pid, signal, 0)?;
                    if zombie.sid == zombie.pid {
                        host.call(libc::SYS_setsid, [0; 6]).doing(|| "beginning a session".into())?;
                    }
                    self.zombies.insert(i, (host, parent));
                }
                Step::Leader(sid, parent) => {
                    let pid = self.wanted(sid);
                    let mut host = self.host(parent)?.fork(pid, libc::SIGCHLD, 0)?;
                    host.call(libc::SYS_setsid, [0; 6]).doing(|| "beginning a session".into())?;
                    self.stand_ins.push((sid, host, Who::Member(parent)));
                }
                Step::StandIn(pgid, near) => {
                    let pid = self.wanted(pgid);
                    let mut host = self.host_of(near)?.fork(pid, libc::SIGCHLD, 0)?;
                    host.call(libc::SYS_setpgid, [0; 6]).doing(|| "making a process group".into())?;
                    self.stand_ins.push((pgid, host, near));
                }
                Step::Hold(pgid, near) => {
                    let mut host = self.host_of(near)?.fork(None, libc::SIGCHLD, 0)?;
                    let group = in_namespace(self.leader(pgid)?)?;
                    host.call(libc::SYS_setpgid, [0, group, 0, 0, 0, 0]).doing(|| "holding a process group".into())?;
                    self.stand_ins.push((pgid, host, near));
                }
                Step::Group(who, pgid) => self.join(who, pgid)?,
            }
        }
        self.foregrounds(&table)?;
        self.end_the_dead(&mut table)?;
        if let Some(pages) = pages {
            self.fill_objects(pages, &table)?;
        }
        let objects = &self.ice.need::<Objects>(0)?.objects;
        fill::trim(self.host(0)?, table.contents(), objects)?;
        Ok(table)
    }

    fn born(&mut self, i: usize) -> Result<&mut (Host, Shape)> {
        match self.ready.hosts.get_mut(i) {
            Some(born) => Ok(born),
            None => refuse(RefusalKind::Internal, format!("member {i} of the family is not born")),
        }
    }

    fn host(&mut self, i: usize) -> Result<&mut Host> {
        self.born(i).map(|(host, _)| host)
    }

    fn host_of(&mut self, who: Who) -> Result<&mut Host> {
        match who {
            Who::Member(i) => self.host(i),
            Who::Zombie(i) => match self.zombies.get_mut(&i) {
                Some((host, _)) => Ok(host),
                None => refuse(RefusalKind::Internal, format!("zombie {i} of the family is not born")),
            },
        }
    }

    /// The id to ask for.
    fn wanted(&self, pid: u64) -> Option<i32> {
        (self.ids != Ids::New).then_some(pid as i32)
    }

    /// The pid of today of the one who had this one, as itself sees it.
    pub fn number(&self, pid: u64) -> Result<u64> {
        let member = self.prepared.members.iter().position(|m| m.process.pid == pid);
        let host = member.and_then(|i| self.ready.hosts.get(i));
        host.map_or(Ok(pid), |(host, _)| in_namespace(host.pid()))
    }

    fn family_zombies(&self) -> &'a [Zombie] {
        self.ice.get::<Family>(0).map_or(&[][..], |f| &f.zombies)
    }

    /// The template of a member, with what is forked from it.
    fn template(&self, i: usize) -> Result<Template<'a>> {
        let mut forked = vec![i];
        for step in &self.prepared.steps {
            if let Step::Birth(child, Some(parent), Birth::Fork | Birth::Sibling, _) = step
                && forked.contains(parent)
            {
                forked.push(*child);
            }
        }
        let ids: Vec<u64> = forked[1..].iter().map(|i| self.prepared.members[*i].id).collect();
        Template::with_descendants(self.ice, self.prepared.members[i].id, &ids)
    }

    /// Makes member `i` of its parent, or of who leads its session for the time being, in the shape of its template and with its descriptors.
    fn birth(
        &mut self,
        table: &mut Table<'a>,
        i: usize,
        (parent, session): (usize, Option<u64>),
        how: Birth,
    ) -> Result<()> {
        let (ice, options, paths) = (self.ice, self.options, self.paths(i));
        let member = &self.prepared.members[i];
        let (pid, signal) = (self.wanted(member.process.pid), member.process.exit_signal as i32);
        let common = common::of_birth(ice, member.id, self.prepared.members[parent].id, how)?;
        let one_memory = common & libc::CLONE_VM as u64 != 0;
        let maker = self.maker(parent, session)?;
        let mut host = match how {
            Birth::Orphan => orphan(maker, pid, signal, common)?,
            // Its parent is told as it is of who makes it.
            Birth::Sibling => maker.fork(pid, 0, common | libc::CLONE_PARENT as u64)?,
            _ => maker.fork(pid, signal, common)?,
        };
        let unlinked: HashMap<u64, u64> = table
            .objects
            .iter()
            .filter(|o| unlinked::is(o))
            .filter_map(|o| Some((o.id, table.parked(o.id, 0)?)))
            .collect();
        let road = options.remap;
        let remapper = Remapper { road, paths, executable: None, notes: &options.notes, unlinked: &unlinked };
        let template = self.template(i)?;
        let shape = if one_memory {
            self.born(parent)?.1.in_common()
        } else if how == Birth::Fork {
            let parents = &ice.need::<Vmas>(self.prepared.members[parent].id)?.vmas;
            let forked = ice.get::<Forked>(member.id).map_or(&[][..], |f| &f.ranges);
            let (_, shaped) = self.born(parent)?;
            remapper.remap_forked(&mut host, (parents, shaped), &template, forked)?
        } else {
            let exe = ice.need::<Mm>(member.id)?.exe;
            let Some(executable) = self.executables.iter().find(|e| e.object == exe) else {
                return refuse(RefusalKind::Internal, "an executable that nobody looked for");
            };
            table.keep_across_exec(&mut host)?;
            personality::begin(&mut host, &member.process)?;
            host::exec(&mut host, (executable, ice.arch(member.id)), |fd| table.handed_down(fd))?;
            remapper.remap(&mut host, &template)?
        };
        if !one_memory {
            mempolicy::ranges(&mut host, ice.get(member.id), &options.notes)?;
        }
        limits::lift(host.pid(), ice.get(member.id))?;
        descriptors::enter(&mut host, table, member.id, paths, common & libc::CLONE_FILES as u64 != 0)?;
        self.ready.hosts.push((host, shape));
        self.settle(table, i)
    }

    /// Who makes a member: its parent, or who leads the session for the time being.
    fn maker(&mut self, parent: usize, session: Option<u64>) -> Result<&mut Host> {
        let Some(session) = session else { return self.host(parent) };
        match self.stand_ins.iter_mut().find(|(number, ..)| *number == session) {
            Some((_, host, _)) => Ok(host),
            None => refuse(RefusalKind::Internal, format!("session {session} has no leader")),
        }
    }

    /// What a process has before its children are born.
    fn settle(&mut self, table: &mut Table<'a>, i: usize) -> Result<()> {
        let (ice, options, paths) = (self.ice, self.options, self.paths(i));
        let member = &self.prepared.members[i];
        let (id, process) = (member.id, &member.process);
        let host = self.host(i)?;
        if !common::has(ice, id, libc::CLONE_VM) {
            mm::restore(host, ice.need::<Mm>(id)?)?;
        }
        if !removed::enter(host, table, process)? {
            process::enter_directory(host, process, paths, options)?;
        }
        process::restore(host, process)
    }

    /// Fills a member's own pages. From a pipe they arrive only now; the host stands ready.
    fn fill(&mut self, pages: &mut Option<Pages>, table: &Table<'a>, i: usize) -> Result<()> {
        let id = self.prepared.members[i].id;
        if let Some(pages) = pages {
            let (host, shape) = &self.ready.hosts[i];
            let vmas = &self.ice.need::<Vmas>(id)?.vmas;
            let later = lazy::ranges(self.ice, pages, id, vmas, self.options);
            let targets = [Target { process: id, memory: host.memory(), vmas, shape }];
            // Objects of a set of one stand among its pages.
            let turn = if self.prepared.members.len() == 1 { Turn::Rest } else { Turn::Of(id) };
            let filler = Filler { later: &later, ..self.filler(&targets, table.contents()) };
            fill::fill(pages, &filler, turn)?;
            if let (Pages::File { image, .. }, false) = (pages, later.is_empty()) {
                lazy::start(&mut self.ready.hosts[i].0, id, image, &later, vmas, self.options)?;
            }
        }
        let (host, shape) = self.born(i)?;
        if let Some(bridge) = &shape.vdso {
            bridge.build(host)?;
        }
        Ok(())
    }

    fn fill_objects(&self, pages: &mut Pages, table: &Table<'a>) -> Result<()> {
        if self.prepared.members.len() == 1 {
            return Ok(());
        }
        let born = self.ready.hosts.iter().zip(&self.prepared.members);
        let targets = born.map(|((host, shape), m)| {
            Ok(Target { process: m.id, memory: host.memory(), vmas: &self.ice.need::<Vmas>(m.id)?.vmas, shape })
        });
        fill::fill(pages, &self.filler(&targets.collect::<Result<Vec<_>>>()?, table.contents()), Turn::Rest)
    }

    fn filler<'f>(&self, targets: &'f [Target<'f>], files: &'f HashMap<u64, File>) -> Filler<'f>
    where
        'a: 'f,
    {
        let options = self.options;
        Filler { targets, files, notes: &options.notes, verify: !options.no_verify, later: &[], keep: None }
    }

    /// Gives the session that member `i` leads its terminal, if that is of the image.
    fn control(&mut self, table: &mut Table<'a>, i: usize) -> Result<()> {
        let id = self.prepared.members[i].id;
        sessions::begin(self.host(i)?, table, id)
    }

    /// The pids of all are known, and those who are to be dead are so; nobody waits for them but who did so before.
    fn end_the_dead(&mut self, table: &mut Table<'a>) -> Result<()> {
        for (member, (host, _)) in self.prepared.members.iter().zip(&self.ready.hosts) {
            table.pids.insert(member.process.pid, in_namespace(host.pid())?);
        }
        for (_, host, near) in std::mem::take(&mut self.stand_ins) {
            let pid = in_namespace(host.pid())?;
            let near = self.host_of(near)?;
            let subreaper = reaps(near, None)?;
            reaps(near, Some(1))?;
            host.end_as(0)?;
            near.call(libc::SYS_wait4, [pid, 0, 0, 0, 0, 0])
                .doing(|| "seeing off the leader of a process group".into())?;
            reaps(near, Some(subreaper))?;
            near.forget_children()?;
        }
        for (i, (mut host, parent)) in std::mem::take(&mut self.zombies) {
            // Its parent is told as which user it ended: as that of the parent, which others are notes of the image.
            let user = self.ice.get::<Credentials>(self.prepared.members[parent].id).map_or(0, |c| c.uid[0]);
            if user != 0 && rustix::process::geteuid().is_root() {
                host.call(libc::SYS_setresuid, [user.into(), user.into(), user.into(), 0, 0, 0])
                    .doing(|| "becoming the user of a child that has ended".into())?;
            }
            table.pids.insert(self.family_zombies()[i].pid, in_namespace(host.pid())?);
            self.ready.zombies.push((parent, self.family_zombies()[i].pid as i32, host.pid()));
            host.end_as(self.family_zombies()[i].status)?;
            self.host(parent)?.forget_children()?;
        }
        Ok(())
    }
}

/// A process that nobody here is the parent of.
fn orphan(maker: &mut Host, pid: Option<i32>, signal: i32, common: u64) -> Result<Host> {
    let mut between = maker.fork(None, libc::SIGCHLD, common)?;
    let born = between.fork(pid, signal, common)?;
    let own = in_namespace(between.pid())?;
    between.end_as(0)?;
    maker.call(libc::SYS_wait4, [own, 0, 0, 0, 0, 0])?;
    maker.forget_children()?;
    Ok(born)
}

/// Does a process become the parent of the orphans among its descendants (PR_SET_CHILD_SUBREAPER)? Says so, or makes it so.
fn reaps(host: &mut Host, set: Option<u64>) -> Result<u64> {
    if let Some(set) = set {
        return Ok(host.call(libc::SYS_prctl, [libc::PR_SET_CHILD_SUBREAPER as u64, set, 0, 0, 0, 0])?);
    }
    let mut batch = host.batch()?;
    let at = batch.space(8);
    batch.call(libc::SYS_prctl, &[libc::PR_GET_CHILD_SUBREAPER as u64, at.addr, 0, 0, 0]);
    let done = host.run(batch)?;
    done.all()?;
    Ok(done.word(at, 0) & u64::from(u32::MAX))
}

/// Its pid as it sees it itself.
fn in_namespace(pid: i32) -> Result<u64> {
    Ok(cryo_tracee::proc::Status::of(pid)?.inner("NSpid").unwrap_or(pid as u64))
}
