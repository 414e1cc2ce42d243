//! Which pages of shared memory there are.
//!
//! Page tables do not tell: a child of fork(2) has none for memory that it shares with its parent until it touches it (kernel: vma_needs_copy), and
//! reading a page that is not there would make it. mincore(2), asked inside the process, looks into the memory object itself.

use std::collections::HashMap;

use cryo_tracee::Remote;
use cryo_tracee::proc::{Mapping, Present};

use super::Scene;
use crate::Result;
use crate::pages::PAGE;

/// Pages by one call: its answer takes a byte for each.
const PAGES: u64 = 32 << 10;

/// Present pages of each shared mapping that is not of a file on disk, by its first address.
pub type Residence = HashMap<u64, Vec<Present>>;

/// Is it asked for the pages of this mapping?
pub fn asked(m: &Mapping) -> bool {
    m.shared && (m.path.ends_with(b" (deleted)") || m.path == b"/dev/zero")
}

/// Asks for all of them.
pub fn ask(remote: &mut Remote<'_>, scene: &Scene<'_>) -> Result<Residence> {
    let mut all = Residence::new();
    for m in scene.maps.iter().filter(|m| asked(m)) {
        let mut present = Vec::new();
        // What is swapped out mincore does not count, and of huge TLB pages only those that this process has in its page tables (mincore_hugetlb): one that
        // another has written, which has ended since, would be lost, as a server's are that its helpers have set up. Then every page is read.
        if m.swapped != 0 || m.page_size > PAGE {
            present.push(Present { start: m.start, end: m.end, file: true, guard: false });
        } else {
            for start in (m.start..m.end).step_by((PAGES * PAGE) as usize) {
                range(remote, start, m.end.min(start + PAGES * PAGE), &mut present)?;
            }
        }
        all.insert(m.start, present);
    }
    Ok(all)
}

fn range(remote: &mut Remote<'_>, start: u64, end: u64, present: &mut Vec<Present>) -> Result<()> {
    let mut batch = remote.batch();
    let answer = batch.space(((end - start) / PAGE) as usize);
    let call = batch.call(libc::SYS_mincore, &[start, end - start, answer.addr]);
    let done = remote.run(batch)?;
    done.result(call)?;
    let mut at = start;
    for page in done.bytes(answer) {
        if page & 1 != 0 {
            match present.last_mut() {
                Some(last) if last.end == at => last.end += PAGE,
                _ => present.push(Present { start: at, end: at + PAGE, file: true, guard: false }),
            }
        }
        at += PAGE;
    }
    Ok(())
}
