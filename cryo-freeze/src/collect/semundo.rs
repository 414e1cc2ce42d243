//! `SEMU`: what the end of the process would undo to SysV semaphores (SEM_UNDO).
//!
//! No call tells it. But the operations of one semop(2) are done all or none, and one that would take an adjustment beyond its limit makes all fail
//! with ERANGE: so we ask for operations of which the last cannot be done, and learn from ERANGE instead of EAGAIN how large it is. Nothing is
//! changed, nobody is woken, and nothing waits.

use std::collections::HashMap;

use cryo_format::section::family::{Common, Family};
use cryo_format::section::semundo::{Adjustment, SemUndo};
use cryo_tracee::Remote;
use cryo_tracee::fds::{self, Shared};

use super::{Collected, RefusalKind, Scene, refuse};
use crate::Result;

/// The greatest value of a semaphore and of an adjustment (SEMVMX, SEMAEM of linux/sem.h).
const MOST: i32 = 32767;
/// Semaphores that are asked about while the process stands still.
const ASKED: usize = 20_000;
/// Semaphores whose values are asked for in one round, unless one set has more.
const TOGETHER: usize = 4096;
const GETALL: u64 = 13;
const IPC_NOWAIT: i16 = libc::IPC_NOWAIT as i16;
const SEM_UNDO: i16 = 0x1000;

/// A set of semaphores (/proc/sysvipc/sem).
struct Set {
    key: u32,
    semid: u32,
    semaphores: usize,
}

fn sets() -> Vec<Set> {
    let text = std::fs::read_to_string("/proc/sysvipc/sem").unwrap_or_default();
    let parse = |line: &str| {
        // key semid perms nsems uid gid cuid cgid otime ctime
        let columns: Vec<&str> = line.split_whitespace().collect();
        Some(Set {
            key: columns.first()?.parse::<i64>().ok()? as u32,
            semid: columns.get(1)?.parse().ok()?,
            semaphores: columns.get(3)?.parse().ok()?,
        })
    };
    text.lines().filter_map(parse).collect()
}

/// Who has a list of what its end undoes? Who has one thread and never asked for it has none (a thread is made with one). Whether two have the same one, or
/// none, is all that kcmp(2) says: it takes somebody without one.
#[derive(Clone, Copy, Default)]
pub struct Lists {
    without: Option<i32>,
}

impl Lists {
    /// The command that waits for us has none, as a rule; but this may be the library of another program, which has a parent with one.
    pub fn look() -> Self {
        let parent = std::os::unix::process::parent_id() as i32;
        Self { without: (!fds::has_undo_list(parent)).then_some(parent) }
    }

    /// Has this process one?
    pub fn has(self, tid: i32) -> bool {
        self.without.map_or_else(|| fds::has_undo_list(tid), |other| !fds::surely_share(tid, other, Shared::SemUndo))
    }
}

/// Asks about all semaphores that the process may change.
pub fn collect(remote: &mut Remote<'_>, scene: &Scene<'_>, out: &mut Collected) -> Result<()> {
    // So not every member is asked about every semaphore of the machine (those of postgres).
    if !scene.machine.undo_lists.has(scene.live_tid) {
        return Ok(());
    }
    // A list that several have (CLONE_SYSVSEM) is done once.
    let again = |c: &Common| c.process == scene.id && c.flags & libc::CLONE_SYSVSEM as u32 != 0;
    if out.sections::<Family>().any(|family| family.common.iter().any(again)) {
        return Ok(());
    }
    let (mut some, mut asked) = (Vec::new(), 0);
    for set in sets() {
        asked += set.semaphores;
        if asked > ASKED {
            out.note(
                "SysV semaphores",
                format!("there are more than {ASKED}: not all were asked whether the program holds them (SEM_UNDO)"),
            );
            break;
        }
        some.push(set);
    }
    let mut found = Vec::new();
    for (set, held) in some.iter().zip(perhaps_held(remote, &some)?) {
        if held {
            found.extend(of_set(remote, scene, set)?);
        }
    }
    if !found.is_empty() {
        found.sort_by_key(|a| (a.semid, a.number));
        out.add(scene.id, SemUndo { adjustments: found.into() });
    }
    Ok(())
}

/// For each set whether there can be an adjustment: not where the process may not read or change it, or where all of its semaphores say no, and others have
/// not changed them meanwhile. All are asked in as few rounds as can be.
fn perhaps_held(remote: &mut Remote<'_>, sets: &[Set]) -> Result<Vec<bool>> {
    let all: Vec<&Set> = sets.iter().collect();
    let before = values(remote, &all)?;
    let readable: Vec<(usize, &Vec<i32>)> =
        before.iter().enumerate().filter_map(|(i, values)| Some((i, values.as_ref()?))).collect();
    let questions: Vec<Question<'_>> = readable.iter().flat_map(|(i, values)| of_values(&sets[*i], values)).collect();
    let answers = beyond(remote, &questions)?;
    let again = values(remote, &all)?;
    let mut held = vec![false; sets.len()];
    let mut rest = &answers[..];
    for (i, values) in readable {
        let own;
        (own, rest) = rest.split_at(2 * values.len());
        held[i] = own.iter().all(Option::is_some) && (own.contains(&Some(true)) || again[i] != before[i]);
    }
    Ok(held)
}

/// The adjustments of a set. Others may change the semaphores meanwhile: then it is asked again.
fn of_set(remote: &mut Remote<'_>, scene: &Scene<'_>, set: &Set) -> Result<Vec<Adjustment>> {
    for _ in 0..10 {
        let before = values(remote, &[set])?;
        let Some(values) = &before[0] else { return Ok(Vec::new()) };
        let Some(found) = with_values(remote, set, values)? else { return Ok(Vec::new()) };
        if self::values(remote, &[set])? == before {
            return Ok(found);
        }
    }
    refuse(
        RefusalKind::Busy,
        format!(
            "SysV semaphores {} change too fast to ask whether process {} holds one (SEM_UNDO): try again",
            set.semid, scene.pid
        ),
    )
}

/// The values of each set; none if the process may not read them.
fn values(remote: &mut Remote<'_>, sets: &[&Set]) -> Result<Vec<Option<Vec<i32>>>> {
    let mut all = Vec::with_capacity(sets.len());
    let mut rest = sets;
    while !rest.is_empty() {
        let mut total = 0;
        let fit = rest.iter().take(256).take_while(|set| {
            total += set.semaphores;
            total <= TOGETHER
        });
        let some;
        (some, rest) = rest.split_at(fit.count().max(1));
        let mut batch = remote.batch();
        let calls: Vec<_> = some
            .iter()
            .map(|set| {
                let room = batch.space(2 * set.semaphores);
                (room, batch.call(libc::SYS_semctl, &[set.semid.into(), 0, GETALL, room.addr]))
            })
            .collect();
        let done = remote.run(batch)?;
        all.extend(calls.into_iter().map(|(room, call)| {
            let values = done.bytes(room).as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b).into());
            done.result(call).is_ok().then(|| values.collect())
        }));
    }
    Ok(all)
}

/// An operation of semop(2): change, flags.
type Op = (i32, i16);

/// Operations that fail with ERANGE if the adjustment is positive and at least `least`, else with EAGAIN.
fn at_least(value: i32, least: i32) -> Vec<Op> {
    // The semaphore to its greatest value, then down by so much that an adjustment of `least` would become one too many; then below zero.
    let down = MOST + 1 - least;
    let mut ops = vec![(MOST - value, 0), (-down, SEM_UNDO), (down - MOST, 0), (-1, 0)];
    ops.retain(|(change, _)| *change != 0);
    ops
}

/// The same for a negative one, which is `-least` or below. (The limit is -32768 on this side: one step more.)
fn at_most(value: i32, least: i32) -> Vec<Op> {
    let up = MOST + 1 - least;
    let mut ops = vec![(-value, 0), (up, SEM_UNDO), (-up, 0), (1, SEM_UNDO)];
    ops.retain(|(change, _)| *change != 0);
    // Waits for zero.
    ops.push((0, 0));
    ops
}

/// Asks for all of a set at once, and then how large those are that there are. None if the process may not change them.
fn with_values(remote: &mut Remote<'_>, set: &Set, values: &[i32]) -> Result<Option<Vec<Adjustment>>> {
    let both = of_values(set, values);
    let Some(answers) = beyond(remote, &both)?.into_iter().collect::<Option<Vec<bool>>>() else { return Ok(None) };
    let mut found: HashMap<u32, i32> = HashMap::new();
    for (number, (value, answers)) in (0_u32..).zip(values.iter().zip(answers.chunks(2))) {
        let (positive, negative) = (answers[0], answers[1]);
        let mut size = |ops: fn(i32, i32) -> Vec<Op>| -> Result<Option<i32>> {
            let (mut is, mut is_not) = (1, MOST + 1);
            while is + 1 < is_not {
                let middle = i32::midpoint(is, is_not);
                match beyond(remote, &[(set, number, ops(*value, middle))])?[0] {
                    Some(true) => is = middle,
                    Some(false) => is_not = middle,
                    None => return Ok(None),
                }
            }
            Ok(Some(is))
        };
        let adjust = match (positive, negative) {
            (true, _) => size(at_least)?,
            (_, true) => size(at_most)?.map(|size| -size),
            _ => continue,
        };
        match adjust {
            Some(adjust) => found.insert(number, adjust),
            None => return Ok(None),
        };
    }
    let adjustment = |(number, adjust)| Adjustment { semid: set.semid, key: set.key, number, adjust };
    Ok(Some(found.into_iter().map(adjustment).collect()))
}

/// Operations on one semaphore of a set.
type Question<'s> = (&'s Set, u32, Vec<Op>);

/// Whether there is a positive adjustment, and whether a negative one, of each semaphore of a set.
fn of_values<'s>(set: &'s Set, values: &[i32]) -> Vec<Question<'s>> {
    values.iter().zip(0_u32..).flat_map(|(v, n)| [(set, n, at_least(*v, 1)), (set, n, at_most(*v, 1))]).collect()
}

/// For each question whether it goes beyond an adjustment's limit; none of the operations is done. None if the process may not change the set, or it is
/// gone.
fn beyond(remote: &mut Remote<'_>, questions: &[Question<'_>]) -> Result<Vec<Option<bool>>> {
    let mut answers = Vec::with_capacity(questions.len());
    for some in questions.chunks(256) {
        let mut batch = remote.batch();
        let calls: Vec<usize> = some
            .iter()
            .map(|(set, number, ops)| {
                let ops_bytes: Vec<u8> = ops
                    .iter()
                    .flat_map(|(change, flags)| {
                        [
                            (*number as u16).to_le_bytes(),
                            (*change as i16).to_le_bytes(),
                            (flags | IPC_NOWAIT).to_le_bytes(),
                        ]
                    })
                    .flatten()
                    .collect();
                let at = batch.put(&ops_bytes);
                batch.call(libc::SYS_semop, &[set.semid.into(), at.addr, ops.len() as u64])
            })
            .collect();
        let done = remote.run(batch)?;
        answers.extend(calls.into_iter().map(|call| match done.result(call).map_err(|e| e.errno()) {
            Err(Some(libc::EAGAIN)) => Some(false),
            Err(Some(libc::ERANGE)) => Some(true),
            // Neither: we may not, or the set is gone.
            _ => None,
        }));
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::{MOST, Op, SEM_UNDO, at_least, at_most};

    /// semop(2) on one semaphore, as ipc/sem.c does it: ERANGE?
    fn goes_beyond(mut value: i32, mut adjustment: i32, ops: &[Op]) -> bool {
        for (change, flags) in ops {
            assert!(i16::try_from(*change).is_ok());
            if *change == 0 && value != 0 || value + change < 0 {
                return false;
            }
            value += change;
            assert!(value <= MOST, "beyond a semaphore's greatest value");
            if flags & SEM_UNDO != 0 {
                adjustment -= change;
                if !(-MOST - 1..=MOST).contains(&adjustment) {
                    return true;
                }
            }
        }
        panic!("all of them would be done: {ops:?} on {value}")
    }

    #[test]
    fn what_goes_beyond_the_limit_tells_the_adjustment() {
        for value in [0, 1, 2, 77, MOST - 1, MOST] {
            for adjustment in [-MOST, -78, -2, -1, 0, 1, 2, 78, MOST] {
                for least in [1, 2, 3, 77, 78, 79, MOST - 1, MOST] {
                    let beyond = goes_beyond(value, adjustment, &at_least(value, least));
                    assert_eq!(beyond, adjustment >= least, "{value} {adjustment} {least}");
                    let beyond = goes_beyond(value, adjustment, &at_most(value, least));
                    assert_eq!(beyond, adjustment <= -least, "{value} {adjustment} {least}");
                }
            }
        }
    }
}
