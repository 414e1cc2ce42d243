//! How many requests may still be put into an asynchronous I/O context (io_setup(2)), which no call tells.
//!
//! A request in flight takes a slot. So free ones are counted by taking them: by requests to poll an eventfd that never becomes ready, on one CPU after
//! another, since each keeps some slots in reserve, until io_submit(2) says EAGAIN. Then they are cancelled, which the kernel does when it likes (a worker),
//! and their events are taken out of the ring again: its `head`, and the events between `head` and `tail`, belong to user space.
//!
//! All of that is done by code inside the process: if we are killed meanwhile, it finishes what was begun. The other threads are let go by the kernel then, and
//! one that takes events would take those: so they wait in code of ours, too, until it is done. The program sees nothing of it.

use std::arch::global_asm;

use super::{Batch, Entry, PAGE, Remote, code};
use crate::fault::Undoing;
use crate::stopped::Stopped;
use crate::{Error, RefusalKind, Result, error};

// r15 = Parameters; r12 and r13 are the self-restoring code's. r14 = our mapping: requests, and behind them pointers to them;
// ebx = the eventfd. A ring (fs/aio.c struct aio_ring): id, nr, head, tail, and from byte 32 on events of 32 bytes: data, obj, res, res2.
// (Labels of 0 and 1 alone would be binary numbers to the assembler.)
global_asm!(
    ".pushsection .rodata",
    ".global cryo_aio_begin",
    ".global cryo_aio_end",
    "cryo_aio_begin:",
    "xor edi, edi",
    "mov rsi, [r15 + 56]",
    "mov edx, 3",
    "mov r10d, [r15 + 152]",
    "mov r8, -1",
    "xor r9d, r9d",
    "mov eax, 9", // mmap
    "syscall",
    "cmp rax, -4095",
    "jae 90f",
    "mov r14, rax",
    "xor edi, edi",
    "mov esi, 0x80000", // EFD_CLOEXEC
    "mov eax, 290",     // eventfd2
    "syscall",
    "test rax, rax",
    "js 80f",
    "mov ebx, eax",
    // The requests.
    "xor ecx, ecx",
    "mov rdx, [r15 + 8]",
    "mov rax, rdx",
    "shl rax, 6",
    "add rax, r14",
    "mov rsi, r14",
    "20: cmp rcx, rdx",
    "jae 21f",
    "mov word ptr [rsi + 16], 5", // IOCB_CMD_POLL
    "mov dword ptr [rsi + 20], ebx",
    "mov qword ptr [rsi + 24], 1", // POLLIN
    "mov [rax + rcx * 8], rsi",
    "add rsi, 64",
    "inc rcx",
    "jmp 20b",
    // On each CPU as many as there are slots.
    "21: mov qword ptr [r15 + 64], 0",
    "mov qword ptr [r15 + 96], 0",
    "30: mov rax, [r15 + 96]",
    "cmp rax, [r15 + 32]",
    "jae 33f",
    "imul rax, [r15 + 40]",
    "add rax, [r15 + 24]",
    "mov rdx, rax",
    "xor edi, edi",
    "mov rsi, [r15 + 40]",
    "mov eax, 203", // sched_setaffinity
    "syscall",
    "test rax, rax",
    "js 32f",
    "31: mov rsi, [r15 + 8]",
    "sub rsi, [r15 + 64]",
    "jz 33f",
    "mov rdx, [r15 + 8]",
    "shl rdx, 6",
    "add rdx, r14",
    "mov rax, [r15 + 64]",
    "lea rdx, [rdx + rax * 8]",
    "mov rdi, [r15]",
    "mov eax, 209", // io_submit
    "syscall",
    "test rax, rax",
    "jle 32f",
    "add [r15 + 64], rax",
    "jmp 31b",
    "32: inc qword ptr [r15 + 96]",
    "jmp 30b",
    "33: xor edi, edi",
    "mov rsi, [r15 + 40]",
    "mov rdx, [r15 + 48]",
    "mov eax, 203",
    "syscall",
    // Cancels them.
    "mov qword ptr [r15 + 96], 0",
    "40: mov rax, [r15 + 96]",
    "cmp rax, [r15 + 64]",
    "jae 41f",
    "shl rax, 6",
    "lea rsi, [r14 + rax]",
    "mov rdi, [r15]",
    "lea rdx, [r15 + 104]",
    "mov eax, 210", // io_cancel
    "syscall",
    "inc qword ptr [r15 + 96]",
    "jmp 40b",
    // Waits until all their events are in the ring.
    "41: mov rdi, [r15 + 16]",
    "mov ecx, [rdi + 8]",
    "mov edx, [rdi + 12]",
    "mov esi, [rdi + 4]",
    "xor r8d, r8d",
    "42: cmp ecx, edx",
    "je 45f",
    "mov eax, ecx",
    "shl rax, 5",
    "mov r9, [rdi + rax + 40]",
    "sub r9, r14",
    "mov rax, [r15 + 8]",
    "shl rax, 6",
    "cmp r9, rax",
    "jae 43f",
    "inc r8",
    "43: inc ecx",
    "cmp ecx, esi",
    "jb 42b",
    "xor ecx, ecx",
    "jmp 42b",
    "45: cmp r8, [r15 + 64]",
    "jae 50f",
    "lea rdi, [r15 + 80]",
    "xor esi, esi",
    "mov eax, 35", // nanosleep
    "syscall",
    "jmp 41b",
    // From the last to the first, all others are moved to just before the tail.
    "50: mov r11d, [rdi + 8]",
    "mov ecx, edx",
    "mov r10d, edx",
    "51: cmp ecx, r11d",
    "je 55f",
    "test ecx, ecx",
    "jnz 52f",
    "mov ecx, esi",
    "52: dec ecx",
    "mov eax, ecx",
    "shl rax, 5",
    "lea r8, [rdi + rax + 32]",
    "mov r9, [r8 + 8]",
    "sub r9, r14",
    "mov rax, [r15 + 8]",
    "shl rax, 6",
    "cmp r9, rax",
    "jb 51b",
    "test r10d, r10d",
    "jnz 53f",
    "mov r10d, esi",
    "53: dec r10d",
    "mov eax, r10d",
    "shl rax, 5",
    "lea rax, [rdi + rax + 32]",
    "mov r9, [r8]",
    "mov [rax], r9",
    "mov r9, [r8 + 8]",
    "mov [rax + 8], r9",
    "mov r9, [r8 + 16]",
    "mov [rax + 16], r9",
    "mov r9, [r8 + 24]",
    "mov [rax + 24], r9",
    "jmp 51b",
    "55: mov [rdi + 8], r10d",
    "mov edi, ebx",
    "mov eax, 3", // close
    "syscall",
    "jmp 81f",
    "80: mov [r15 + 72], rax",
    "81: mov rdi, r14",
    "mov rsi, [r15 + 56]",
    "mov eax, 11", // munmap
    "syscall",
    "jmp 95f",
    "90: mov [r15 + 72], rax",
    // Lets the others go.
    "95: mov dword ptr [r15 + 136], 1",
    "lea rdi, [r15 + 136]",
    "mov esi, 0x81", // FUTEX_WAKE_PRIVATE
    "mov edx, 0x7fffffff",
    "mov eax, 202", // futex
    "syscall",
    "jmp [r15 + 144]",
    "cryo_aio_end:",
    ".popsection",
);

unsafe extern "C" {
    static cryo_aio_begin: [u8; 0];
    static cryo_aio_end: [u8; 0];
}

/// Bytes of a request (struct iocb), and of a pointer to it.
const REQUEST: u64 = 64 + 8;

/// Bytes of a mask of CPUs, at most.
const MASK: usize = 1024;

/// What the code works with, in words.
#[derive(Clone, Copy, Default)]
struct Parameters {
    context: u64,
    requests: u64,
    ring: u64,
    masks: u64,
    cpus: u64,
    mask_len: u64,
    own_mask: u64,
    mapping: u64,
    taken: u64,
    error: u64,
    pause: [u64; 2],
    /// A counter, and room for an event.
    room: [u64; 5],
    /// 0 until the others may go on.
    gate: u64,
    /// Where to go in the end. (Not a register: rbp, the only one that is left, is the program's all the time.)
    back: u64,
    /// Flags of our mapping.
    flags: u64,
}

/// Where in [`Parameters`] that is.
const GATE: u64 = 136;
/// For so long the others wait at most, if we are killed before the code has begun. In seconds: on a machine that is very busy the code itself may take two,
/// and who goes on before it takes events of ours, for which the code then waits.
const PATIENCE: u64 = 10;

impl Parameters {
    fn bytes(&self) -> Vec<u8> {
        let Self {
            context,
            requests,
            ring,
            masks,
            cpus,
            mask_len,
            own_mask,
            mapping,
            taken,
            error,
            gate,
            back,
            flags,
            ..
        } = *self;
        let words = [context, requests, ring, masks, cpus, mask_len, own_mask, mapping, taken, error];
        words
            .iter()
            .chain(&self.pause)
            .chain(&self.room)
            .chain([&gate, &back, &flags])
            .flat_map(|word| word.to_le_bytes())
            .collect()
    }
}

impl Remote<'_> {
    /// How many slots of the context `context` are free, of whose ring `nr` says how many events it holds. `online` is a mask of the CPUs; `others` are the
    /// other threads of the process.
    ///
    /// Refused where code of ours cannot be executed in a way that survives us.
    pub fn free_slots(&mut self, others: &mut [Stopped], context: u64, nr: u32, online: &[u8]) -> Result<u64> {
        let pid = self.thread.pid();
        let Some(code) = self.thread.self_restoring().filter(|_| self.stub) else {
            return error::refuse(
                RefusalKind::Memory,
                format!(
                    "process {pid} has an asynchronous I/O context (io_setup), and no room for code of ours that asks about it"
                ),
            );
        };
        let mut batch = self.batch();
        let own = batch.space(MASK);
        let call = batch.call(libc::SYS_sched_getaffinity, &[0, MASK as u64, own.addr]);
        let done = self.run(batch)?;
        let len = done.result(call)? as usize;
        let own = &done.bytes(own)[..len];
        let cpus: Vec<usize> = (0..online.len().min(len) * 8).filter(|i| online[i / 8] >> (i % 8) & 1 != 0).collect();
        let fixed = Parameters::default().bytes().len() as u64;
        let size = (fixed + ((cpus.len() + 1) * len) as u64).next_multiple_of(PAGE);
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | self.arch.anywhere();
        let at = self.call(libc::SYS_mmap, [0, size, prot as u64, flags as u64, u64::MAX, 0])?;
        let parameters = Parameters {
            context,
            requests: nr.into(),
            ring: context,
            masks: at + fixed + len as u64,
            cpus: cpus.len() as u64,
            mask_len: len as u64,
            own_mask: at + fixed,
            mapping: (u64::from(nr) * REQUEST).next_multiple_of(PAGE),
            pause: [0, 1_000_000],
            back: code + Entry::Announce.offset(),
            flags: flags as u64,
            ..Parameters::default()
        };
        let mut bytes = [&parameters.bytes(), own].concat();
        for cpu in cpus {
            let mut mask = vec![0; len];
            mask[cpu / 8] = 1 << (cpu % 8);
            bytes.extend(mask);
        }
        let counted = self.count(others, code, at, &bytes);
        let _undoing = Undoing::begin();
        let gone = self.call(libc::SYS_munmap, [at, size, 0, 0, 0, 0]);
        let (taken, failed) = counted?;
        gone?;
        match failed {
            0 => Ok(taken),
            failed => {
                let e = std::io::Error::from_raw_os_error(failed.wrapping_neg() as i32);
                Err(Error::sys(format!("counting the requests in flight in process {pid}"), e))
            }
        }
    }

    /// Has the code executed while the others wait; returns how many requests it placed, and an error as the kernel gives it.
    fn count(&mut self, others: &mut [Stopped], code: u64, at: u64, bytes: &[u8]) -> Result<(u64, u64)> {
        self.mem.write(self.scratch, aio())?;
        self.mem.fill(at, bytes)?;
        let ask = |batch: &mut Batch| {
            let patience = batch.put(&[PATIENCE.to_le_bytes(), [0; 8]].concat());
            let wait = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as u64;
            batch.call(libc::SYS_futex, &[at + GATE, wait, 0, patience.addr]);
        };
        self.while_they_wait(others, ask, |remote| {
            let mut regs = remote.thread.regs()?;
            remote.aside(&mut regs);
            (regs.rip, regs.r15) = (remote.scratch, at);
            regs.r12 = code + remote.afterwards().offset();
            remote.thread.set_regs(&regs)?;
            remote.thread.go(remote.thread.request())?;
            remote.thread.wait_event()
        })?;
        let mut back = [[0; 8]; 2];
        self.mem.read(at + 64, back.as_flattened_mut())?;
        Ok((u64::from_le_bytes(back[0]), u64::from_le_bytes(back[1])))
    }
}

fn aio() -> &'static [u8] {
    // SAFETY: two symbols of ours, in this order.
    code::between(unsafe { &cryo_aio_begin }, unsafe { &cryo_aio_end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_fits_its_page_and_its_parameters() {
        assert!(aio().len() <= PAGE as usize, "{}", aio().len());
        let parameters = Parameters { gate: 7, ..Parameters::default() };
        assert_eq!(parameters.bytes()[GATE as usize], 7);
        assert_eq!(parameters.bytes().len(), GATE as usize + 24);
    }
}
