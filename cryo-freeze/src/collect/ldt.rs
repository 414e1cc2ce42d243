//! `LDT `: the local descriptor table (modify_ldt(2)).

use cryo_format::section::ldt::{Ldt, LdtEntry};
use cryo_tracee::remote::Done;
use cryo_tracee::{Batch, Remote};

use super::{Collected, Scene};
use crate::Result;

/// Entries that a table has at most (LDT_ENTRIES of asm/ldt.h), of 8 bytes each.
const TABLE: usize = 8192 * 8;
/// modify_ldt(2): read.
const READ: u64 = 0;

/// The call that reads an entry of it: it answers 0 where there is no table.
pub struct Question(usize);

impl Question {
    /// Asks whether there is one.
    pub fn ask(batch: &mut Batch) -> Self {
        let entry = batch.space(8);
        Self(batch.call(libc::SYS_modify_ldt, &[READ, entry.addr, 8]))
    }
}

/// Adds the table, if there is one. A kernel without the call (CONFIG_MODIFY_LDT_SYSCALL) has none.
pub fn collect(
    remote: &mut Remote<'_>,
    scene: &Scene<'_>,
    q: &Question,
    done: &Done,
    out: &mut Collected,
) -> Result<()> {
    if !done.result(q.0).is_ok_and(|bytes| bytes > 0) {
        return Ok(());
    }
    let mut batch = remote.batch_for(TABLE)?;
    let table = batch.space(TABLE);
    let read = batch.call(libc::SYS_modify_ldt, &[READ, table.addr, TABLE as u64]);
    let done = remote.run(batch)?;
    done.result(read)?;
    let entries = (0..).zip(done.bytes(table).chunks_exact(8)).filter_map(|(entry, bytes)| {
        let descriptor = u64::from_le_bytes(bytes.try_into().ok()?);
        (descriptor != 0).then(|| user_desc(entry, descriptor))
    });
    out.add(scene.id, Ldt { entries: entries.collect() });
    Ok(())
}

/// A segment descriptor of the CPU as the kernel was told it (`struct user_desc`; asm/desc.h, fill_ldt).
fn user_desc(entry: u32, descriptor: u64) -> LdtEntry {
    let bits = |from: u32, count: u32| (descriptor >> from) as u32 & ((1 << count) - 1);
    let (kind, present, available, big, pages) = (bits(40, 4), bits(47, 1), bits(52, 1), bits(54, 1), bits(55, 1));
    let (writable, contents) = (kind >> 1 & 1, kind >> 2);
    LdtEntry {
        entry,
        base: bits(16, 24) | bits(56, 8) << 24,
        limit: bits(0, 16) | bits(48, 4) << 16,
        flags: big | contents << 1 | (writable ^ 1) << 3 | pages << 4 | (present ^ 1) << 5 | available << 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_taken_apart() {
        // As the CPU's manual draws it: base 12345678, limit abcde in pages, 32-bit data that can be written, present, available, level 3.
        let entry = user_desc(9, 0x12da_f334_5678_bcde);
        assert_eq!(entry, LdtEntry { entry: 9, base: 0x1234_5678, limit: 0xa_bcde, flags: 1 | 16 | 64 });
        // 16-bit code for execution only, not present.
        assert_eq!(
            user_desc(0, 0x0000_7900_0000_00ff),
            LdtEntry { entry: 0, base: 0, limit: 0xff, flags: 2 << 1 | 8 | 32 }
        );
    }
}
