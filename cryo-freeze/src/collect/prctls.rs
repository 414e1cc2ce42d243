//! Settings of prctl(2) that are not carried. One that changes what the program's instructions do is refused, others are noted.

use cryo_tracee::Batch;
use cryo_tracee::proc::Status;
use cryo_tracee::remote::{Done, Slot};

use super::{Collected, RefusalKind, refuse};
use crate::Result;

/// linux/prctl.h; libc lacks some of them.
const PR_GET_TSC: u64 = 25;
const PR_TSC_ENABLE: u32 = 1;
const PR_MCE_KILL_GET: u64 = 34;
const PR_MCE_KILL_DEFAULT: u64 = 2;
const PR_GET_SPECULATION_CTRL: u64 = 52;
/// Of what PR_GET_SPECULATION_CTRL says: it is this thread's own choice, and was chosen.
const PR_SPEC_PRCTL: u64 = 1;
const PR_SPEC_CHOSEN: u64 = 1 << 2 | 1 << 3 | 1 << 4;
const PR_GET_IO_FLUSHER: u64 = 58;
const PR_SCHED_CORE: u64 = 62;
const PR_SCHED_CORE_GET: u64 = 0;
/// Linux 6.16: are ids of timers what timer_create(2) is told?
const PR_TIMER_CREATE_RESTORE_IDS: u64 = 77;
const PR_TIMER_CREATE_RESTORE_IDS_GET: u64 = 2;
/// Linux 6.16: buckets for futexes of its own; 0 are those of all.
const PR_FUTEX_HASH: u64 = 78;
const PR_FUTEX_HASH_GET_SLOTS: u64 = 2;
/// arch_prctl(2): may it execute `cpuid`? (1 is yes)
const ARCH_GET_CPUID: u64 = 0x1011;

/// Calls to a thread about itself. Which a kernel or a CPU does not know, nobody can have set.
pub struct Questions {
    tsc: (usize, Slot),
    core: (usize, Slot),
    mce: usize,
    io_flusher: usize,
    /// Store bypass, indirect branches, flush of the L1 cache.
    speculation: [usize; 3],
    timer_ids: usize,
    futex_hash: usize,
    cpuid: usize,
}

impl Questions {
    /// prctl(2).
    pub fn ask(batch: &mut Batch) -> Self {
        let prctl = |batch: &mut Batch, args: &[u64]| batch.call(libc::SYS_prctl, args);
        let (tsc, core) = (batch.space(4), batch.space(8));
        Self {
            tsc: (prctl(batch, &[PR_GET_TSC, tsc.addr]), tsc),
            core: (prctl(batch, &[PR_SCHED_CORE, PR_SCHED_CORE_GET, 0, 0, core.addr]), core),
            mce: prctl(batch, &[PR_MCE_KILL_GET]),
            io_flusher: prctl(batch, &[PR_GET_IO_FLUSHER]),
            speculation: [0, 1, 2].map(|which| prctl(batch, &[PR_GET_SPECULATION_CTRL, which])),
            timer_ids: prctl(batch, &[PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_GET]),
            futex_hash: prctl(batch, &[PR_FUTEX_HASH, PR_FUTEX_HASH_GET_SLOTS]),
            cpuid: batch.call(libc::SYS_arch_prctl, &[ARCH_GET_CPUID]),
        }
    }
}

/// Refuses or notes what thread `tid` has set.
pub fn check(tid: i32, status: &Status, q: &Questions, done: &Done, out: &mut Collected) -> Result<()> {
    let tsc = done.bytes(q.tsc.1).try_into().map_or(PR_TSC_ENABLE, u32::from_le_bytes);
    // Strict seccomp forbids it, too, and will again.
    let strict = status.number("Seccomp") == Some(1);
    if !strict && done.result(q.tsc.0).is_ok() && tsc != PR_TSC_ENABLE {
        return refuse(
            RefusalKind::Thread,
            format!(
                "thread {tid} gets SIGSEGV for reading the time-stamp counter (prctl(PR_SET_TSC)), which is not carried yet"
            ),
        );
    }
    let answer = |call: usize| done.result(call).ok();
    if !strict && answer(q.cpuid) == Some(0) {
        return refuse(
            RefusalKind::Thread,
            format!(
                "thread {tid} gets SIGSEGV for asking what its CPU is (arch_prctl(ARCH_SET_CPUID)), which is not carried yet"
            ),
        );
    }
    if answer(q.timer_ids) == Some(1) {
        return refuse(
            RefusalKind::Timer,
            format!(
                "thread {tid} is about to restore timers (prctl(PR_TIMER_CREATE_RESTORE_IDS)): try again when it has done so"
            ),
        );
    }
    let chosen = |spec: u64| spec & PR_SPEC_PRCTL != 0 && spec & PR_SPEC_CHOSEN != 0;
    let settings = [
        (answer(q.mce).is_some_and(|policy| policy != PR_MCE_KILL_DEFAULT), "PR_MCE_KILL", "memory errors"),
        (answer(q.io_flusher).is_some_and(|set| set != 0), "PR_SET_IO_FLUSHER", "memory for I/O"),
        (q.speculation.iter().any(|call| answer(*call).is_some_and(chosen)), "PR_SET_SPECULATION_CTRL", "speculation"),
        (answer(q.core.0).is_some() && done.word(q.core.1, 0) != 0, "PR_SCHED_CORE", "whom it shares a core with"),
        (
            answer(q.futex_hash).is_some_and(|slots| chosen_slots(slots, status)),
            "PR_FUTEX_HASH",
            "buckets for its futexes",
        ),
    ];
    for (_, option, about) in settings.into_iter().filter(|(set, ..)| *set) {
        out.note("a thread", format!("what it has set by prctl({option}), {about}, is not carried"));
    }
    Ok(())
}

/// Is it a number of buckets that the kernel does not choose by itself? It begins with 16 when there is a second thread, and gives four to each
/// thread, rounded up to a power of two (kernel/futex/core.c, futex_hash_allocate_default).
fn chosen_slots(slots: u64, status: &Status) -> bool {
    let threads = status.number("Threads").unwrap_or(1);
    match slots {
        0 => threads > 1,
        _ => !(16..=(4 * threads).next_power_of_two().max(16)).contains(&slots),
    }
}
