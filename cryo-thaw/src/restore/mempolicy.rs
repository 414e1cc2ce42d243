//! `MPOL` and `MBND`: memory policies of threads and of ranges.

use cryo_format::section::mempolicy::{Mbind, Mempolicy};
use cryo_tracee::remote::{Done, Slot};
use cryo_tracee::{Batch, Error, Host};

use crate::Result;
use crate::notes::Notes;

const MPOL_F_ADDR: u64 = 1 << 1;
/// Ranges that one batch binds.
const AT_ONCE: usize = 256;

/// Takes the thawer's own policy from the host (numactl(8)), whose threads inherit it, and binds the ranges. No page is filled yet, and so each comes
/// from the right node.
pub fn ranges(host: &mut Host, mbind: Option<&Mbind>, notes: &Notes) -> Result<()> {
    if let Err(e) = host.call(libc::SYS_set_mempolicy, [0; 6])
        && e.errno() != Some(libc::ENOSYS)
    {
        return Err(e.during("giving it the default memory policy").into());
    }
    let mut other = 0;
    let ranges = mbind.map_or(&[][..], |m| &m.ranges);
    for ranges in ranges.chunks(AT_ONCE) {
        let mut batch = host.batch()?.continue_at_error();
        let calls: Vec<_> = ranges
            .iter()
            .map(|r| {
                let (start, len) = (r.start.0, r.end.0 - r.start.0);
                let mask = Mask::put(&mut batch, &r.nodes);
                let args = [start, len, u64::from(r.mode | r.flags), mask.at, mask.maxnode, 0];
                let call = batch.call(libc::SYS_mbind, &args);
                (r, call, Look::at(&mut batch, &r.nodes, start, MPOL_F_ADDR))
            })
            .collect();
        let done = host.run(batch)?;
        for (r, call, look) in calls {
            other += usize::from(!is_set(&done, call, &look, r.mode | r.flags, &r.nodes)?);
        }
    }
    if other > 0 {
        notes.add(format!(
            "memory policies (mbind(2)) of {other} ranges name nodes or a mode that this machine has not: the rest of the nodes, or the default, holds there"
        ));
    }
    Ok(())
}

/// Sets the policy of thread `i`.
pub fn thread(host: &mut Host, i: usize, policy: &Mempolicy, notes: &Notes) -> Result<()> {
    let mode = policy.mode | policy.flags;
    let mut batch = host.batch()?.continue_at_error();
    let mask = Mask::put(&mut batch, &policy.nodes);
    let call = batch.call(libc::SYS_set_mempolicy, &[mode.into(), mask.at, mask.maxnode]);
    let look = Look::at(&mut batch, &policy.nodes, 0, 0);
    let done = host.remote_at(i)?.run(batch)?;
    if !is_set(&done, call, &look, mode, &policy.nodes)? {
        notes.add(
            "the memory policy of a thread (set_mempolicy(2)) names nodes or a mode that this machine has not: the rest of the nodes, or the default, holds",
        );
    }
    Ok(())
}

/// A set of nodes as the calls take it.
struct Mask {
    at: u64,
    maxnode: u64,
}

impl Mask {
    fn put(batch: &mut Batch, nodes: &[u8]) -> Self {
        if nodes.is_empty() {
            return Self { at: 0, maxnode: 0 };
        }
        // The kernel reads whole words, and counts one less than it is told.
        let words = [nodes, &[0; 8][..nodes.len().next_multiple_of(8) - nodes.len()]].concat();
        Self { at: batch.put(&words).addr, maxnode: words.len() as u64 * 8 + 1 }
    }
}

/// get_mempolicy(2): what became of it.
struct Look {
    call: usize,
    mode: Slot,
    nodes: Slot,
}

impl Look {
    fn at(batch: &mut Batch, nodes: &[u8], addr: u64, flags: u64) -> Self {
        // No less than the kernel's own.
        let len = nodes.len().next_multiple_of(8).max(128);
        let (mode, nodes) = (batch.space(4), batch.space(len));
        let args = [mode.addr, nodes.addr, len as u64 * 8 + 1, addr, flags];
        Self { call: batch.call(libc::SYS_get_mempolicy, &args), mode, nodes }
    }
}

/// Was it set as it was? Not where the kernel says that it has no such nodes or no such mode; where it has some of the nodes it takes these.
fn is_set(done: &Done, call: usize, look: &Look, mode: u32, nodes: &[u8]) -> Result<bool> {
    let missing = |e: &Error| matches!(e.errno(), Some(libc::EINVAL | libc::ENOSYS));
    match done.result(call).and_then(|_| done.result(look.call)) {
        Err(e) if missing(&e) => Ok(false),
        Err(e) => Err(e.during("setting a memory policy").into()),
        Ok(_) => {
            let there = done.bytes(look.nodes);
            let same = there.starts_with(nodes) && there[nodes.len()..].iter().all(|b| *b == 0);
            Ok(same && *done.bytes(look.mode) == mode.to_le_bytes())
        }
    }
}
