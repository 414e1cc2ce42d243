//! A family's plan against a kernel on paper: whatever parents, sessions, groups and zombies a history of fork(2), setsid(2), setpgid(2), exit(2) and
//! wait(2) leaves, the plan's steps lead to the same.
#![allow(clippy::unwrap_used)] // test code

use std::collections::BTreeMap;

use cryo_format::section::family::{Common, Family, Zombie};
use cryo_format::section::mm::Mm;
use cryo_format::section::process::Process;
use cryo_thaw::plan::{Birth, Known, Step, Who, plan};
use proptest::prelude::*;

const ROOT: u64 = 100;
const OUTSIDE_GROUP: u64 = 50;
const OUTSIDE_SESSION: u64 = 40;

/// A process on paper.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Paper {
    ppid: u64,
    pgid: u64,
    sid: u64,
    zombie: bool,
}

type World = BTreeMap<u64, Paper>;

#[derive(Clone, Debug)]
enum Deed {
    Fork(usize),
    Setsid(usize),
    Lead(usize),
    Join(usize, usize),
    Exit(usize),
    Wait(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => any::<usize>().prop_map(Deed::Fork),
        1 => any::<usize>().prop_map(Deed::Setsid),
        2 => any::<usize>().prop_map(Deed::Lead),
        2 => any::<(usize, usize)>().prop_map(|(a, b)| Deed::Join(a, b)),
        2 => any::<usize>().prop_map(Deed::Exit),
        1 => any::<usize>().prop_map(Deed::Wait),
    ]
}

fn setpgid(world: &mut World, pid: u64, pgid: u64) {
    let me = world[&pid].clone();
    let exists = pgid == pid || world.values().any(|p| p.pgid == pgid && p.sid == me.sid);
    if me.sid != pid && exists {
        world.get_mut(&pid).unwrap().pgid = pgid;
    }
}

fn setsid(world: &mut World, pid: u64) -> bool {
    let free = world.values().all(|p| p.pgid != pid);
    if free {
        let me = world.get_mut(&pid).unwrap();
        (me.sid, me.pgid) = (pid, pid);
    }
    free
}

/// What a history leaves.
fn live(deeds: &[Deed]) -> World {
    let root = Paper { ppid: 1, pgid: OUTSIDE_GROUP, sid: OUTSIDE_SESSION, zombie: false };
    let mut world = World::from([(ROOT, root)]);
    let mut next = ROOT;
    for deed in deeds {
        let alive: Vec<u64> = world.iter().filter(|(_, p)| !p.zombie).map(|(pid, _)| *pid).collect();
        let pick = |n: &usize| alive[n % alive.len()];
        match deed {
            Deed::Fork(n) => {
                next += 1;
                let parent = pick(n);
                let child = Paper { ppid: parent, ..world[&parent].clone() };
                world.insert(next, child);
            }
            // A root that has children begins no session: what it was in is outside.
            Deed::Setsid(n) if pick(n) != ROOT => drop(setsid(&mut world, pick(n))),
            Deed::Setsid(_) => {}
            Deed::Lead(n) => setpgid(&mut world, pick(n), pick(n)),
            Deed::Join(n, m) => {
                let (pid, other) = (pick(n), pick(m));
                // Who has led a group does not go back to the one outside, which the plan refuses.
                let back = world[&other].pgid == OUTSIDE_GROUP && world.values().any(|p| p.pgid == pid);
                // A root in a group whose leader is gone is in one of the outside, for all that anybody can tell.
                if pid != ROOT && world[&pid].sid == world[&other].sid && !back {
                    let pgid = world[&other].pgid;
                    setpgid(&mut world, pid, pgid);
                }
            }
            Deed::Exit(n) => {
                let pid = pick(n);
                // What others are in stays; its leader is gone without a trace, or there is nobody to be led.
                let leads = world.iter().any(|(other, p)| *other != pid && p.sid == pid);
                if pid != ROOT && leads {
                    world.remove(&pid);
                } else if pid != ROOT {
                    world.get_mut(&pid).unwrap().zombie = world[&pid].ppid != 1;
                    if world[&pid].ppid == 1 {
                        world.remove(&pid);
                    }
                }
                // Orphans are init's, which waits for the dead among them.
                if pid != ROOT {
                    world.retain(|_, p| p.ppid != pid || !p.zombie);
                    world.values_mut().filter(|p| p.ppid == pid).for_each(|p| p.ppid = 1);
                }
            }
            Deed::Wait(n) => {
                let zombies: Vec<u64> = world.iter().filter(|(_, p)| p.zombie).map(|(pid, _)| *pid).collect();
                if !zombies.is_empty() {
                    world.remove(&zombies[n % zombies.len()]);
                }
            }
        }
    }
    world
}

/// What the steps make of an empty world.
fn execute(steps: &[Step], members: &[(u64, Paper)], zombies: &[(u64, Paper)]) -> World {
    let mut world = World::new();
    let pid = |i: usize| members[i].0;
    let of = |who: Who| match who {
        Who::Member(i) => members[i].0,
        Who::Zombie(i) => zombies[i].0,
    };
    let mut stand_ins = Vec::new();
    for step in steps {
        let (child, parent) = match *step {
            Step::Birth(i, None, ..) => {
                world.insert(pid(i), Paper { ppid: 1, pgid: OUTSIDE_GROUP, sid: OUTSIDE_SESSION, zombie: false });
                continue;
            }
            Step::Birth(i, Some(parent), how, led) => {
                let ppid = match how {
                    Birth::Orphan => 1,
                    Birth::Sibling => world[&pid(parent)].ppid,
                    _ => pid(parent),
                };
                let paper = Paper { ppid, ..world[&led.unwrap_or(pid(parent))].clone() };
                assert!(world.insert(pid(i), paper).is_none(), "{} twice", pid(i));
                continue;
            }
            Step::Leader(sid, parent) => {
                let paper = Paper { ppid: pid(parent), ..world[&pid(parent)].clone() };
                assert!(world.insert(sid, paper).is_none(), "{sid} twice");
                assert!(setsid(&mut world, sid), "{sid} leads a group already");
                stand_ins.push(sid);
                continue;
            }
            Step::Zombie(i, parent) => (zombies[i].0, pid(parent)),
            Step::StandIn(pgid, near) => {
                stand_ins.push(pgid);
                (pgid, of(near))
            }
            Step::Hold(pgid, near) => {
                let holder = 1000 + pgid;
                let paper = Paper { ppid: of(near), ..world[&of(near)].clone() };
                world.insert(holder, paper);
                setpgid(&mut world, holder, pgid);
                stand_ins.push(holder);
                continue;
            }
            Step::Session(i) => {
                assert!(setsid(&mut world, pid(i)), "{} leads a group already", pid(i));
                continue;
            }
            Step::Group(who, pgid) => {
                setpgid(&mut world, of(who), pgid);
                continue;
            }
        };
        assert!(!world.contains_key(&child), "{child} twice");
        let paper = Paper { ppid: parent, ..world[&parent].clone() };
        world.insert(child, paper);
        // As `births` has it, for those that have no step of their own.
        let leads = |all: &[(u64, Paper)]| all.iter().any(|(pid, p)| *pid == child && p.sid == child);
        if stand_ins.contains(&child) {
            setpgid(&mut world, child, child);
        } else if leads(zombies) {
            assert!(setsid(&mut world, child));
        }
    }
    world.retain(|pid, _| !stand_ins.contains(pid));
    for (pid, _) in zombies {
        world.get_mut(pid).unwrap().zombie = true;
    }
    world
}

/// A family of (pid, parent, session), the first of them the root, and what is said of it.
fn refusal(family: &[(u64, u64, u64)]) -> String {
    let process =
        |(pid, ppid, sid): &(u64, u64, u64)| Process { pid: *pid, ppid: *ppid, sid: *sid, ..Process::default() };
    let processes: Vec<Process> = family.iter().map(process).collect();
    let mm = Mm::default();
    let known: Vec<Known> =
        processes.iter().enumerate().map(|(i, process)| Known { id: i as u64 + 1, process, mm: &mm }).collect();
    plan(&known, None).err().map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn who_cannot_be_born_is_refused_by_name() {
    assert_eq!(refusal(&[(100, 1, 40), (101, 100, 40)]), "");
    assert!(refusal(&[]).contains("no process"));
    assert!(refusal(&[(100, 1, 40), (100, 100, 40)]).contains("same pid"));
    assert!(refusal(&[(100, 1, 40), (101, 101, 40)]).contains("process 101: its parent 101 does not come before it"));
    assert_eq!(refusal(&[(100, 1, 40), (101, 7, 40)]), "");
    assert!(refusal(&[(100, 1, 40), (102, 101, 40), (101, 100, 40)]).contains("process 102"));
    assert_eq!(refusal(&[(100, 1, 40), (101, 100, 90)]), "");
    assert!(
        refusal(&[(100, 1, 40), (101, 100, 40), (102, 100, 90), (103, 101, 90)])
            .contains("process 103 is in session 90")
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_plan_leads_to_what_was(
        deeds in prop::collection::vec(deed(), 0..60),
        pairs in prop::collection::vec((0..30_usize, 0..30_usize), 0..6),
    ) {
        let world = live(&deeds);
        let (zombies, members): (Vec<_>, Vec<_>) = world.clone().into_iter().partition(|(_, p)| p.zombie);
        let processes: Vec<Process> = members
            .iter()
            .map(|(pid, p)| Process { pid: *pid, ppid: p.ppid, pgid: p.pgid, sid: p.sid, ..Process::default() })
            .collect();
        let mm = Mm::default();
        let known: Vec<Known> =
            processes.iter().enumerate().map(|(i, process)| Known { id: i as u64 + 1, process, mm: &mm }).collect();
        let dead = zombies.iter().map(|(pid, p)| Zombie { pid: *pid, ppid: p.ppid, pgid: p.pgid, sid: p.sid, ..Zombie::default() });
        // Some children of one parent have one memory.
        let mut common: Vec<Common> = Vec::new();
        for (first, other) in pairs {
            let [Some((a, p)), Some((b, q))] = [members.get(first), members.get(other)] else { continue };
            let (first, other) = (first as u64 + 1, other as u64 + 1);
            let alike = (p.ppid, p.sid) == (q.ppid, q.sid) && world.contains_key(&p.ppid) && p.sid != *a && q.sid != *b;
            let known = |c: &Common| c.process == other || c.process == first || c.other == other;
            if first < other && alike && !common.iter().any(known) {
                common.push(Common { process: other, other: first, flags: libc::CLONE_VM as u32, reserved: 0 });
            }
        }
        let siblings = common.len();
        let family = Family { root: 1, zombies: dead.collect::<Vec<_>>().into(), common: common.into() };
        let steps = plan(&known, Some(&family)).unwrap();
        let made = steps.iter().filter(|step| matches!(step, Step::Birth(_, _, Birth::Sibling, _))).count();
        prop_assert_eq!(made, siblings);
        // Where one that is alone runs is not planned.
        if world.len() > 1 {
            prop_assert_eq!(execute(&steps, &members, &zombies), world);
        }
    }
}
