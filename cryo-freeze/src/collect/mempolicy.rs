//! `MPOL` and `MBND`: memory policies of threads (set_mempolicy(2)) and of ranges (mbind(2)).

use std::collections::HashMap;

use cryo_format::prim::{Addr, Blob};
use cryo_format::section::mempolicy::{BoundRange, Mbind, Mempolicy};
use cryo_tracee::remote::{Done, Slot};
use cryo_tracee::{Batch, Remote};

use super::{Collected, Scene};
use crate::Result;

/// linux/mempolicy.h: the policy of an address; and what the kernel calls flags of a mode.
const MPOL_F_ADDR: u64 = 1 << 1;
const MODE_FLAGS: u32 = 0xe000;
/// The kernel knows 1024 nodes at most (CONFIG_NODES_SHIFT is 10 at most), and counts one less than it is told.
const NODES: usize = 1024;
const MAXNODE: u64 = NODES as u64 + 1;

/// get_mempolicy(2). A kernel without NUMA (ENOSYS) knows no policies.
#[derive(Clone, Copy)]
pub struct Question {
    call: usize,
    mode: Slot,
    nodes: Slot,
}

impl Question {
    /// The policy of the thread that is asked.
    pub fn ask(batch: &mut Batch) -> Self {
        Self::of(batch, 0, 0)
    }

    fn of(batch: &mut Batch, addr: u64, flags: u64) -> Self {
        let (mode, nodes) = (batch.space(4), batch.space(NODES / 8));
        Self { call: batch.call(libc::SYS_get_mempolicy, &[mode.addr, nodes.addr, MAXNODE, addr, flags]), mode, nodes }
    }

    fn answer(&self, done: &Done) -> Option<Mempolicy> {
        done.result(self.call).ok()?;
        let mode = u32::from_le_bytes(done.bytes(self.mode).try_into().ok()?);
        let nodes = done.bytes(self.nodes);
        let used = nodes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        let policy =
            Mempolicy { mode: mode & !MODE_FLAGS, flags: mode & MODE_FLAGS, nodes: Blob(nodes[..used].into()) };
        (policy != Mempolicy::default()).then_some(policy)
    }
}

/// Adds the policy of the thread with this local id, if it has one.
pub fn thread(id: u64, q: &Question, done: &Done, out: &mut Collected) {
    if let Some(policy) = q.answer(done) {
        out.add(id, policy);
    }
}

/// Addresses of which one batch asks, and those among them that it asks for everything; so many are asked among other questions.
const MODES_AT_ONCE: usize = 2048;
const POLICIES_AT_ONCE: usize = 256;
const AMONG_OTHERS: usize = 512;

/// The ranges of a process that may have a policy of their own.
pub struct Ranges {
    parts: Vec<(u64, u64)>,
    /// Whether they have one, if they are asked among other questions.
    modes: Option<Slot>,
}

impl Ranges {
    /// Asks for the mode of each, if there are few.
    pub fn ask(batch: &mut Batch, scene: &Scene<'_>) -> Self {
        let parts = parts(scene);
        let few = parts.len() <= AMONG_OTHERS && batch.has_room(4 * parts.len());
        let modes = few.then(|| modes(batch, &parts));
        Self { parts, modes }
    }

    /// Adds the ranges that have a policy of their own: for others the kernel answers with the default one.
    ///
    /// /proc/PID/numa_maps has it, too. But it also counts the pages of every node: of 30,000 mappings it takes three times as long as asking for each,
    /// and it shows the thread's policy where a range has none.
    pub fn collect(&self, remote: &mut Remote<'_>, scene: &Scene<'_>, done: &Done, out: &mut Collected) -> Result<()> {
        let mut bound = Vec::new();
        match self.modes {
            Some(modes) => bound.extend(with_mode(&self.parts, modes, done)),
            None => {
                for parts in self.parts.chunks(MODES_AT_ONCE) {
                    let mut batch = remote.batch();
                    let modes = modes(&mut batch, parts);
                    bound.extend(with_mode(parts, modes, &remote.run(batch)?));
                }
            }
        }
        ranges(remote, scene, &bound, out)
    }
}

fn modes(batch: &mut Batch, parts: &[(u64, u64)]) -> Slot {
    let modes = batch.space(4 * parts.len());
    for ((start, _), mode) in parts.iter().zip((modes.addr..).step_by(4)) {
        batch.call(libc::SYS_get_mempolicy, &[mode, 0, 0, *start, MPOL_F_ADDR]);
    }
    modes
}

fn with_mode<'p>(parts: &'p [(u64, u64)], modes: Slot, done: &Done) -> impl Iterator<Item = (u64, u64)> + use<'p> {
    let with: Vec<bool> = done.bytes(modes).chunks_exact(4).map(|mode| mode != [0; 4]).collect();
    parts.iter().zip(with).filter(|(_, with)| *with).map(|(part, _)| *part)
}

fn ranges(remote: &mut Remote<'_>, scene: &Scene<'_>, bound: &[(u64, u64)], out: &mut Collected) -> Result<()> {
    let mut ranges: Vec<BoundRange> = Vec::new();
    for parts in bound.chunks(POLICIES_AT_ONCE) {
        let mut batch = remote.batch();
        let asked: Vec<_> = parts.iter().map(|part| (part, Question::of(&mut batch, part.0, MPOL_F_ADDR))).collect();
        let done = remote.run(batch)?;
        for ((start, end), q) in asked {
            let Some(Mempolicy { mode, flags, nodes }) = q.answer(&done) else { continue };
            ranges.push(BoundRange { start: Addr(*start), end: Addr(*end), mode, flags, nodes });
        }
    }
    ranges.dedup_by(|next, last| {
        let one =
            last.end == next.start && (last.mode, last.flags, &last.nodes) == (next.mode, next.flags, &next.nodes);
        if one {
            last.end = next.end;
        }
        one
    });
    if !ranges.is_empty() {
        out.add(scene.id, Mbind { ranges: ranges.into() });
    }
    Ok(())
}

/// Mappings, cut where others of the same file begin or end: the policy of shared memory belongs to the memory (shmem_get_policy), and who has
/// set it for a part through one mapping has it in all.
fn parts(scene: &Scene<'_>) -> Vec<(u64, u64)> {
    let mut cuts: HashMap<_, Vec<u64>> = HashMap::new();
    for m in scene.maps.iter().filter(|m| m.ino != 0) {
        cuts.entry((m.dev, m.ino)).or_default().extend([m.offset, m.offset + (m.end - m.start)]);
    }
    for cuts in cuts.values_mut() {
        cuts.sort_unstable();
    }
    let mut parts = Vec::with_capacity(scene.maps.len());
    for m in &scene.maps {
        let (mut start, cuts) = (m.start, cuts.get(&(m.dev, m.ino)).map_or(&[][..], Vec::as_slice));
        for cut in &cuts[cuts.partition_point(|cut| *cut <= m.offset)..] {
            let at = m.start + (cut - m.offset);
            if at >= m.end {
                break;
            }
            if at > start {
                parts.push((start, at));
                start = at;
            }
        }
        parts.push((start, m.end));
    }
    parts
}
