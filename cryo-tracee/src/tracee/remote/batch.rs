//! Many calls in one go: what is to be called, the bytes that the calls read and write, and what came of it.

use std::io;

use crate::tracee::arch::code::I386_CALL;
use crate::{Error, Result, fault};

/// Bytes of a call in the stub's table: its number, six arguments, its result.
pub(super) const ENTRY: usize = 64;
/// Each datum of a batch begins at a multiple of this.
const ALIGN: usize = 16;

/// Calls to be made, and the bytes that they read and write.
///
/// Nothing of it is in the process before it is run: what is put into it beyond its room is found there, and refused as a whole.
pub struct Batch {
    /// Where its data will be.
    pub(super) base: u64,
    /// Bytes that may be there.
    pub(super) room: usize,
    /// Is that a mapping of its own?
    pub(super) own: bool,
    pub(super) data: Vec<u8>,
    pub(super) calls: Vec<[u64; 8]>,
    pub(super) stop_at_error: bool,
}

/// Bytes in the process that a batch reads or writes.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Its address in the process.
    pub addr: u64,
    offset: usize,
    len: usize,
}

impl Batch {
    /// Ends at the first call that fails; the result of later ones is 0.
    #[must_use]
    pub fn stop_at_error(mut self) -> Self {
        self.stop_at_error = true;
        self
    }

    /// Makes all calls, whatever the result of each.
    #[must_use]
    pub fn continue_at_error(mut self) -> Self {
        self.stop_at_error = false;
        self
    }

    /// Puts bytes at the calls' disposal.
    pub fn put(&mut self, bytes: &[u8]) -> Slot {
        self.data.resize(self.data.len().next_multiple_of(ALIGN), 0);
        let offset = self.data.len();
        self.data.extend_from_slice(bytes);
        Slot { addr: self.base + offset as u64, offset, len: bytes.len() }
    }

    /// Room for `len` bytes of an answer.
    pub fn space(&mut self, len: usize) -> Slot {
        self.put(&vec![0; len])
    }

    /// Is its data no more than there is room for?
    pub(super) fn fits(&self, pid: i32) -> Result<()> {
        if self.data.len() <= self.room {
            return Ok(());
        }
        let what = format!("{} bytes for remote calls where there is room for {}", self.data.len(), self.room);
        Err(Error::NoRoom { pid, what })
    }

    /// The calls as the stub wants them.
    pub(super) fn table(&self) -> Vec<u8> {
        self.calls.iter().flatten().flat_map(|w| w.to_le_bytes()).collect()
    }

    pub(super) fn take_results(&mut self, table: &[u8]) {
        for (call, result) in self.calls.iter_mut().zip(results(table)) {
            call[7] = result;
        }
    }

    /// Adds a call and returns its place in the batch.
    pub fn call(&mut self, number: i64, args: &[u64]) -> usize {
        let mut call = [0; 8];
        call[0] = number as u64;
        call[1..=args.len()].copy_from_slice(args);
        self.calls.push(call);
        self.calls.len() - 1
    }

    /// Adds a call of i386, by its number there, which is made by `int 0x80`; the same of it. Only for a 32-bit process; it has five
    /// arguments at most, of 32 bits.
    pub fn call_i386(&mut self, number: i64, args: &[u64]) -> usize {
        self.call(number | I386_CALL as i64, args)
    }

    /// Adds a call that does nothing, for a batch that is only to bring its data there. (Not getpid(2), which may be another one's to answer.)
    pub fn call_nothing(&mut self) {
        self.call(libc::SYS_getuid, &[]);
    }

    /// Is there room for one more datum of `bytes`? (Of calls there may be any number.)
    pub fn has_room(&self, bytes: usize) -> bool {
        self.data.len().next_multiple_of(ALIGN).saturating_add(bytes) <= self.room
    }

    /// Has it no calls?
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

/// A batch that was run.
pub struct Done {
    pub(super) pid: i32,
    pub(super) batch: Batch,
}

impl Done {
    /// The result of call `i`.
    pub fn result(&self, i: usize) -> Result<u64> {
        let c = &self.batch.calls[i];
        fault::point().and_then(|()| outcome(c[7])).map_err(|e| Error::sys(describe(self.pid, c[0] as i64), e))
    }

    /// The first error, if any call failed.
    pub fn all(&self) -> Result<()> {
        (0..self.batch.calls.len()).try_for_each(|i| self.result(i).map(drop))
    }

    /// The bytes of a slot after the calls.
    pub fn bytes(&self, slot: Slot) -> &[u8] {
        &self.batch.data[slot.offset..slot.offset + slot.len]
    }

    /// A little-endian word of a slot.
    pub fn word(&self, slot: Slot, index: usize) -> u64 {
        let b = &self.bytes(slot)[index * 8..index * 8 + 8];
        u64::from_le_bytes(b.try_into().unwrap_or_default())
    }
}

/// The results that stand in a table.
pub(super) fn results(table: &[u8]) -> impl Iterator<Item = u64> + '_ {
    table.chunks_exact(ENTRY).map(|entry| u64::from_le_bytes(entry[56..].try_into().unwrap_or_default()))
}

pub(super) fn outcome(result: u64) -> io::Result<u64> {
    if result > u64::MAX - 4095 { Err(io::Error::from_raw_os_error(result.wrapping_neg() as i32)) } else { Ok(result) }
}

/// The last resort where the caller has no words for it ([`Error::during`]). Arguments are no help to a person: most are addresses of ours.
pub(super) fn describe(pid: i32, number: i64) -> String {
    let name = match number & I386_CALL as i64 {
        0 => syscalls::x86_64::Sysno::new(number as usize).map(|call| call.name()),
        _ => syscalls::x86::Sysno::new((number ^ I386_CALL as i64) as usize).map(|call| call.name()),
    };
    match name {
        Some(name) => format!("{name} inside process {pid}"),
        None => format!("system call {number} inside process {pid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::ALIGN;
    use crate::Arch;
    use crate::tracee::remote::{DATA, Remote, Scratch};

    #[test]
    fn what_has_no_room_is_refused() {
        let scratch = Scratch { arch: Arch::X86_64, base: 0x10000, insn: 0, stub: true };
        let mut batch = Remote::batch_at(scratch);
        batch.space(DATA as usize - ALIGN);
        assert!(batch.has_room(ALIGN) && !batch.has_room(ALIGN + 1) && !batch.has_room(usize::MAX));
        batch.put(&[0; ALIGN]);
        assert!(batch.fits(1).is_ok());
        batch.put(&[0]);
        assert!(batch.fits(1).is_err());
    }
}
