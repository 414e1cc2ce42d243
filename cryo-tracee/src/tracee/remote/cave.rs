//! Room for a little code in a process that has none of ours yet: zeros at the end of something executable, which nobody executes.
//!
//! Every process has some behind its vDSO, and behind the code of most files that it maps: a linker fills the last page up. Both are private to
//! the process, and a tracer may write there as debuggers do for breakpoints.

use crate::Arch;
use crate::Memory;
use crate::proc::Mapping;
use crate::tracee::arch::code::{CODE_ROOM, CODE_ROOM_I386, mark};

const PAGE: u64 = 4096;
/// Zeros that may belong to what stands before them.
const MARGIN: usize = 64;
/// For the main thread and, where code can be executed only in files, one for another. A vDSO of i386 has room for one.
const fn slots(arch: Arch) -> (usize, usize) {
    match arch {
        Arch::X86_64 => (2, CODE_ROOM),
        Arch::I386 => (1, CODE_ROOM_I386),
    }
}

/// A place for code; what is put there is taken away when this is dropped.
pub struct Cave<'a> {
    mem: &'a Memory,
    at: u64,
    /// How many, and the bytes of one.
    slots: (usize, usize),
}

impl<'a> Cave<'a> {
    /// Finds one in which none of the threads that stand at `rips` is. One that a killed freezer left behind is taken over.
    pub fn find(mem: &'a Memory, arch: Arch, maps: &[Mapping], rips: &[u64]) -> Option<Self> {
        let slots = slots(arch);
        let room = slots.0 * slots.1;
        let vdso = maps.iter().filter(|m| m.path == b"[vdso]");
        let others = maps.iter().filter(|m| m.ino != 0 && !m.shared && m.prot & libc::PROT_WRITE as u32 == 0);
        let executable = vdso.chain(others).filter(|m| m.prot & libc::PROT_EXEC as u32 != 0);
        let free = |at: &u64| !rips.iter().any(|rip| (*at..=*at + room as u64).contains(rip));
        executable.filter_map(|m| in_last_page(mem, m, room)).find(free).map(|at| Self { mem, at, slots })
    }

    /// Address of a slot, if there is that one.
    pub fn slot(&self, i: usize) -> Option<u64> {
        (i < self.slots.0).then(|| self.at + (i * self.slots.1) as u64)
    }

    /// Bytes of a slot.
    pub fn room(&self) -> usize {
        self.slots.1
    }

    /// Makes it what it was, in another process that has a copy of it.
    pub fn clear(&self, mem: &Memory) {
        mem.restore(self.at, &vec![0; self.slots.0 * self.slots.1]);
    }
}

impl Drop for Cave<'_> {
    fn drop(&mut self) {
        self.clear(self.mem);
    }
}

fn in_last_page(mem: &Memory, m: &Mapping, room: usize) -> Option<u64> {
    let start = m.end.checked_sub(PAGE)?.max(m.start);
    let mut page = vec![0; (m.end - start) as usize];
    mem.read(start, &mut page).ok()?;
    let mark = mark();
    if let Some(at) = page.windows(mark.len()).position(|w| w == mark)
        && at + room <= page.len()
    {
        return Some(start + at as u64);
    }
    let used = page.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    let at = (used + MARGIN).next_multiple_of(16);
    (at + room <= page.len()).then(|| start + at as u64)
}
