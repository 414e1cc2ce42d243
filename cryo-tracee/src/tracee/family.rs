//! A process and all that descend from it, at one moment: every thread of every one of them stands still.

use std::collections::HashSet;

use super::process::Seizing;
use crate::proc::{self, Stat};
use crate::{Error, Process, Result, signals};

/// A process and its descendants, which all stand still.
///
/// Dropping it lets all of them go on.
pub struct Family {
    /// The processes: the one that was asked for first, and each after its parent.
    pub members: Vec<Process>,
    /// Children of theirs that have ended and that nobody has waited for.
    pub zombies: Vec<i32>,
}

/// A member that could not be stopped; all others go on.
#[derive(Debug)]
pub struct NotSeized {
    /// Its pid.
    pub pid: i32,
    /// Why.
    pub error: Error,
}

impl Family {
    /// Stops `root`, then its children, theirs, and so on until nobody is left who has not been seen: a process that stands still makes no more. Children
    /// that end meanwhile are zombies of parents that stand still, or gone if these do not want to know of it.
    ///
    /// `others` names further processes, which are stopped with their descendants, too: parents before their children. It is asked until it names nobody new.
    pub fn seize(root: i32, others: impl Fn() -> Vec<i32>) -> std::result::Result<Self, NotSeized> {
        let mut family = Self::only(root)?;
        let mut known = HashSet::from([root]);
        loop {
            let (before, mut next) = (known.len(), 0);
            while let Some(member) = family.members.get(next) {
                let fresh = children(member.pid()).into_iter().filter(|pid| known.insert(*pid)).collect();
                family.seize_all(fresh)?;
                next += 1;
            }
            // A zombie among them is the child of somebody who stays behind.
            let lives = |pid: &i32| proc::state(*pid).is_some_and(|s| !s.starts_with(['Z', 'X']));
            let fresh = others().into_iter().filter(lives).filter(|pid| known.insert(*pid)).collect();
            family.seize_all(fresh)?;
            // Whoever lost its parent meanwhile may have become the child of one that was asked before (PR_SET_CHILD_SUBREAPER).
            if known.len() == before {
                return Ok(family);
            }
        }
    }

    /// Stops `root` alone.
    pub fn only(root: i32) -> std::result::Result<Self, NotSeized> {
        let process = Process::seize(root).map_err(|error| NotSeized { pid: root, error })?;
        Ok(Self { members: vec![process], zombies: Vec::new() })
    }

    /// All of them are told to stop before the first is waited for: each stops as soon as the kernel gets to it, and many do so side by side.
    fn seize_all(&mut self, pids: Vec<i32>) -> std::result::Result<(), NotSeized> {
        let told: Vec<_> = pids.into_iter().map(|pid| (pid, Seizing::begin(pid))).collect();
        told.into_iter().try_for_each(|(pid, told)| self.add(pid, told.and_then(Seizing::finish)))
    }

    fn add(&mut self, pid: i32, seized: Result<Process>) -> std::result::Result<(), NotSeized> {
        match seized {
            Ok(process) => self.members.push(process),
            // A main thread that has exited alone was not refused.
            Err(_) if proc::state(pid).is_none_or(|s| s.starts_with('X')) => {}
            Err(Error::Died(_)) if proc::state(pid).is_some_and(|s| s.starts_with('Z')) => self.zombies.push(pid),
            Err(error) => return Err(NotSeized { pid, error }),
        }
        Ok(())
    }

    /// Ends all of them, and waits until they are gone. None of them runs meanwhile, and so none notices the end of another.
    pub fn kill(self) -> Result<()> {
        self.members.iter().try_for_each(|member| signals::kill(member.pid(), libc::SIGKILL))?;
        self.members.into_iter().for_each(Process::see_off);
        Ok(())
    }
}

/// Children of a process by their pids, zombies among them.
pub fn children(pid: i32) -> Vec<i32> {
    // CONFIG_PROC_CHILDREN: a list for each thread.
    let lists: Option<Vec<String>> = proc::tasks(pid)
        .unwrap_or_default()
        .iter()
        .map(|tid| std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")).ok())
        .collect();
    if let Some(lists) = lists {
        return lists.iter().flat_map(|l| l.split_whitespace()).filter_map(|t| t.parse().ok()).collect();
    }
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    all.flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .filter(|child| Stat::of(*child).and_then(|s| s.field(4)).is_ok_and(|parent| parent == i64::from(pid)))
        .collect()
}
