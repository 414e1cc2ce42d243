//! How a family of processes is made: which process is born of which, and when sessions and process groups are. Made from the set alone, before there
//! is a process.
//!
//! Members are born in the order in which they stand in the set, which is that of their births then: whoever came before its parent began a new
//! session, comes before it now. Process groups are joined when all are there. A group whose leader has ended is led, until the others have
//! joined it, by a process that is made for that and ends again; so does a session. Who has no parent in the set is a further root: it is born of the
//! leader of its session, or of the root, by way of a process that ends at once, and so it is nobody's child here either.

use std::collections::{HashMap, HashSet};

use cryo_format::section::family::{Family, Zombie};
use cryo_format::section::mm::Mm;
use cryo_format::section::process::Process;

use crate::Result;
use crate::error::{RefusalKind, refuse};

/// What is known of a member.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its local id.
    pub id: u64,
    /// Who it is.
    pub process: &'a Process,
    /// Its address space.
    pub mm: &'a Mm,
}

/// How a member comes to its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Birth {
    /// It is the first one.
    Start,
    /// It has the program of its parent, with whose memory it begins.
    Fork,
    /// The same, but it is who is named, another child of its parent, that makes it (CLONE_PARENT), and whose memory it has.
    Sibling,
    /// It has executed another one.
    Exec,
    /// The same, and its parent is not in the set: the one that is named is only who makes it.
    Orphan,
}

/// A process that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A member, by its place in the list.
    Member(usize),
    /// A zombie, by its place in the family's list: it lives until all is made.
    Zombie(usize),
}

/// Something to be done. Numbers are places in the list of members; of zombies, in theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A member is made, by its parent; or, if a session is named, by who leads that for the time being.
    Birth(usize, Option<usize>, Birth, Option<u64>),
    /// A member becomes the leader of a session of its own.
    Session(usize),
    /// A process is made by this member that leads the session of this number until all are there: its leader has ended. Those who are in it are born of that
    /// process, and become the member's children when it ends.
    Leader(u64, usize),
    /// A zombie is made by its parent; it ends later.
    Zombie(usize, usize),
    /// A process is made that leads the group of this number until all have joined it; by one of its session.
    StandIn(u64, Who),
    /// A process is made that keeps the group of this number there until all have joined it, while its leader leaves it; by one of its session.
    Hold(u64, Who),
    /// One becomes the leader of a group of its own, or joins the one of this number.
    Group(Who, u64),
}

/// Plans a family. `members` are in their order.
pub fn plan(members: &[Known<'_>], family: Option<&Family>) -> Result<Vec<Step>> {
    let zombies = family.map_or(&[][..], |f| &f.zombies);
    let places: HashMap<u64, usize> = members.iter().enumerate().map(|(i, m)| (m.process.pid, i)).collect();
    let all: HashSet<u64> = places.keys().copied().chain(zombies.iter().map(|z| z.pid)).collect();
    if all.len() != members.len() + zombies.len() {
        return refuse(RefusalKind::Image, "two processes of the set have the same pid");
    }
    let Some(root) = members.first() else { return refuse(RefusalKind::Image, "the .frost holds no process") };
    if family.is_some_and(|f| f.root != root.id) {
        return refuse(RefusalKind::Image, "the first process of the set is not its root");
    }
    let born_in = born_in(members, zombies, &places);
    let mut births = Births {
        members,
        zombies,
        sessions: vec![root.process.sid],
        made: HashSet::new(),
        all,
        leaders: HashMap::new(),
        steps: vec![Step::Birth(0, None, Birth::Start, None)],
    };
    for (i, m) in members.iter().enumerate().skip(1) {
        let (pid, ppid) = (m.process.pid, m.process.ppid);
        let (parent, how) = match places.get(&ppid).copied() {
            Some(parent) if parent < i => match sibling(members, i, parent, family) {
                Some(sibling) => (sibling, Birth::Sibling),
                None => (parent, birth(&members[parent], m)),
            },
            None => {
                let leader = born_in[i].and_then(|sid| places.get(&sid)).copied().filter(|leader| *leader < i);
                (leader.unwrap_or(0), Birth::Orphan)
            }
            Some(_) => {
                return refuse(
                    RefusalKind::Image,
                    format!("process {pid}: its parent {ppid} does not come before it in the set"),
                );
            }
        };
        let led = births.led(born_in[i], parent);
        if led.is_none() {
            births.enter_session(pid, born_in[i], parent)?;
        }
        let session = led.unwrap_or(births.sessions[parent]);
        births.steps.push(Step::Birth(i, Some(parent), how, led));
        births.sessions.push(session);
    }
    for (i, z) in zombies.iter().enumerate() {
        let Some(parent) = places.get(&z.ppid) else {
            return refuse(
                RefusalKind::Image,
                format!("process {} (a zombie): its parent {} is not in the set", z.pid, z.ppid),
            );
        };
        if !births.made.contains(&i) {
            births.enter_session(z.pid, (z.sid != z.pid).then_some(z.sid), *parent)?;
            births.zombie(i, *parent);
        }
    }
    for (i, m) in members.iter().enumerate().skip(1).filter(|(_, m)| m.process.sid == m.process.pid) {
        if births.sessions[i] != m.process.pid {
            births.lead(i);
        }
    }
    let Births { mut steps, leaders, .. } = births;
    if steps.len() > 1 {
        groups(members, zombies, leaders.into_keys().collect(), &mut steps)?;
    }
    Ok(steps)
}

/// Another child of the parent, with which member `i` has its memory in common and not with the parent: the first of those before it. Their parent is told of
/// their ends by one signal.
fn sibling(members: &[Known<'_>], i: usize, parent: usize, family: Option<&Family>) -> Option<usize> {
    let common = family.map_or(&[][..], |f| &f.common);
    // All that have it in common name the first of them.
    let first = |m: &Known<'_>| {
        let with = common.iter().find(|c| c.process == m.id && c.flags & libc::CLONE_VM as u32 != 0);
        with.map_or(m.id, |c| c.other)
    };
    let own = &members[i];
    if first(own) == own.id || first(own) == first(&members[parent]) {
        return None;
    }
    let told = |m: &Known<'_>| (m.process.ppid, m.process.exit_signal);
    members[..i].iter().position(|m| first(m) == first(own) && told(m) == told(own))
}

/// The program of the parent, if nothing else has been executed since: the kernel puts the stack and the auxiliary vector with its random bytes elsewhere
/// for each that is executed.
fn birth(parent: &Known<'_>, child: &Known<'_>) -> Birth {
    let (p, c) = (parent.mm, child.mm);
    let same = p.exe == c.exe && p.start_stack == c.start_stack && p.auxv == c.auxv && p.start_code == c.start_code;
    if same { Birth::Fork } else { Birth::Exec }
}

/// The session that each member is born into, if that shows: its own, or, where it has begun one since, that of a child from before.
fn born_in(members: &[Known<'_>], zombies: &[Zombie], places: &HashMap<u64, usize>) -> Vec<Option<u64>> {
    let leads = |i: usize| members[i].process.sid == members[i].process.pid;
    let mut of: Vec<Option<u64>> = (0..members.len()).map(|i| (!leads(i)).then_some(members[i].process.sid)).collect();
    let child = |ppid: u64, sid: Option<u64>, of: &mut Vec<Option<u64>>| {
        let Some(parent) = places.get(&ppid).copied() else { return };
        if leads(parent) && sid != Some(ppid) {
            of[parent] = of[parent].or(sid);
        }
    };
    for z in zombies {
        child(z.ppid, (z.sid != z.pid).then_some(z.sid), &mut of);
    }
    for i in (0..members.len()).rev() {
        let sid = of[i];
        child(members[i].process.ppid, sid, &mut of);
    }
    of
}

struct Births<'a> {
    members: &'a [Known<'a>],
    zombies: &'a [Zombie],
    /// Zombies that are made already.
    made: HashSet<usize>,
    /// The sessions that those who are born are in.
    sessions: Vec<u64>,
    /// The pids of all.
    all: HashSet<u64>,
    /// Sessions whose leaders have ended, and the members whose children those are who are in them.
    leaders: HashMap<u64, usize>,
    steps: Vec<Step>,
}

impl Births<'_> {
    fn zombie(&mut self, i: usize, parent: usize) {
        self.made.insert(i);
        self.steps.push(Step::Zombie(i, parent));
    }

    /// Begins a session, when those of its children that are in the one of before are there.
    fn lead(&mut self, i: usize) {
        let (pid, before) = (self.members[i].process.pid, self.sessions[i]);
        for (z, zombie) in self.zombies.iter().enumerate() {
            if zombie.ppid == pid && zombie.sid == before && !self.made.contains(&z) {
                self.zombie(z, i);
            }
        }
        self.sessions[i] = self.members[i].process.pid;
        self.steps.push(Step::Session(i));
    }

    /// The session in which a child of this parent is born, if its leader has ended and the parent is not in it.
    fn led(&mut self, sid: Option<u64>, parent: usize) -> Option<u64> {
        let sid = sid.filter(|sid| *sid != self.sessions[parent] && !self.all.contains(sid))?;
        // In a session are those who descend from its leader: that ends as the child of one member.
        if self.leaders.get(&sid).is_some_and(|known| *known != parent) {
            return None;
        }
        if self.leaders.insert(sid, parent).is_none() {
            self.steps.push(Step::Leader(sid, parent));
        }
        Some(sid)
    }

    /// Makes the parent's session the one in which process `pid` is to be born. A parent begins its own as late as can be: before the first child that
    /// was born into it.
    fn enter_session(&mut self, pid: u64, sid: Option<u64>, parent: usize) -> Result<()> {
        let of = self.members[parent].process;
        let Some(sid) = sid.filter(|sid| *sid != self.sessions[parent]) else { return Ok(()) };
        if sid == of.pid && of.sid == of.pid {
            self.lead(parent);
            return Ok(());
        }
        refuse(
            RefusalKind::Ids,
            format!(
                "process {pid} is in session {sid}, whose leader is not its ancestor, or has ended and left members of several parents: this release cannot bring that back"
            ),
        )
    }
}

/// A process that is in a group.
#[derive(Clone, Copy)]
struct Grouped {
    who: Who,
    pid: u64,
    pgid: u64,
    sid: u64,
}

/// Process groups, when all are born: first they are all there, then they are joined. setpgid(2) leads into groups of the own session only.
/// Those in `there` are there already.
fn groups(members: &[Known<'_>], zombies: &[Zombie], mut there: HashSet<u64>, steps: &mut Vec<Step>) -> Result<()> {
    let root = members[0].process;
    let living = members.iter().map(|m| m.process).enumerate();
    let living = living.map(|(i, p)| Grouped { who: Who::Member(i), pid: p.pid, pgid: p.pgid, sid: p.sid });
    let dead = zombies.iter().enumerate();
    let dead = dead.map(|(i, z)| Grouped { who: Who::Zombie(i), pid: z.pid, pgid: z.pgid, sid: z.sid });
    let all: Vec<Grouped> = living.chain(dead).collect();
    let by_pid: HashMap<u64, &Grouped> = all.iter().map(|g| (g.pid, g)).collect();
    // A group of the world outside: that of the thawer takes its place.
    let outside = (!by_pid.contains_key(&root.pgid)).then_some(root.pgid);
    let mut joins = Vec::new();
    for one in all.iter().filter(|one| Some(one.pgid) != outside && one.pgid != 0) {
        let leader = by_pid.get(&one.pgid);
        // A session's leader leads the group into which its children are born.
        if leader.is_none_or(|l| l.sid != l.pid) && there.insert(one.pgid) {
            match leader {
                // It has led the group, and gone over to the one in which it came: for that there is no number here.
                Some(leader) if leader.pgid != leader.pid && Some(leader.pgid) == outside => {
                    return refuse(
                        RefusalKind::Ids,
                        format!(
                            "process {0} has led process group {0} and left it for one that is not in the set",
                            one.pgid
                        ),
                    );
                }
                Some(leader) => steps.push(Step::Group(leader.who, one.pgid)),
                None => steps.push(Step::StandIn(one.pgid, one.who)),
            }
        }
        if one.pid != one.pgid {
            joins.push(*one);
        }
    }
    // Who leaves a group that it has led does so last: a group that nobody is in is gone.
    let (mut leaving, joins): (Vec<_>, Vec<_>) = joins.into_iter().partition(|one| there.contains(&one.pid));
    steps.extend(joins.into_iter().map(|one| Step::Group(one.who, one.pgid)));
    while !leaving.is_empty() {
        let awaited = |pid: u64| leaving.iter().any(|one| one.pgid == pid);
        let free = leaving.iter().position(|one| !awaited(one.pid));
        // Where each waits for another one, the group of the first is held.
        let one = leaving.remove(free.unwrap_or(0));
        if free.is_none() {
            steps.push(Step::Hold(one.pid, one.who));
        }
        steps.push(Step::Group(one.who, one.pgid));
    }
    Ok(())
}
