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

fn asked(m: &Mapping) -> bool {
    m.shared && (m.path.ends_with(b" (deleted)") || m.path == b"/dev/zero")
}

/// Asks for all of them.
pub fn ask(remote: &mut Remote<'_>, scene: &Scene<'_>) -> Result<Residence> {
    let mut all = Residence::new();
    for m in scene.maps.iter().filter(|m| asked(m)) {
        let mut present = Vec::new();
        // What is swapped out mincore does not count: then every page is read.
        if m.swapped != 0 {
            present.push(Present { start: m.start, end: m.end, file: true, guard: false });
        } else {
            for start in (m.start..m.end).step_by((PAGES * PAGE) as usize) {
                range(remote, start, m.end.min(start + PAGES * PAGE), m.page_size, &mut present)?;
            }
        }
        all.insert(m.start, present);
    }
    Ok(all)
}

/// Of a huge TLB page its first 4 KiB tell: of the others Linux before 6.7 says what is true of the huge pages behind it, where none is in the page
/// tables (mm/mincore.c).
fn range(remote: &mut Remote<'_>, start: u64, end: u64, page_size: u64, present: &mut Vec<Present>) -> Result<()> {
    let mut batch = remote.batch();
    let answer = batch.space(((end - start) / PAGE) as usize);
    let call = batch.call(libc::SYS_mincore, &[start, end - start, answer.addr]);
    let done = remote.run(batch)?;
    done.result(call)?;
    let page_size = page_size.max(PAGE);
    for (at, page) in
        (start..end).step_by(page_size as usize).zip(done.bytes(answer).iter().step_by((page_size / PAGE) as usize))
    {
        if page & 1 != 0 {
            let behind = end.min(at + page_size);
            match present.last_mut() {
                Some(last) if last.end == at => last.end = behind,
                _ => present.push(Present { start: at, end: behind, file: true, guard: false }),
            }
        }
    }
    Ok(())
}
