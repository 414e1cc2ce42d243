//! `MM  `: landmarks of the address space.

use cryo_format::prim::Addr;
use cryo_format::section::mm::Mm;
use cryo_tracee::Batch;
use cryo_tracee::proc::Status;
use cryo_tracee::remote::{Done, SCRATCH, Scratch, Slot};

use super::objects::Objects;
use super::{Collected, Ids, RefusalKind, Scene, refuse};
use crate::Result;

/// Calls whose results are answers.
pub struct Questions {
    brk: usize,
    thp_disable: usize,
    memory_merge: usize,
    membarrier: Membarrier,
    /// Is a page that nobody has touched in memory? Asked of new memory that was locked at once.
    locked: Option<Slot>,
}

const MCL_FUTURE: u32 = 2;
const MCL_ONFAULT: u32 = 4;

/// What the process has registered for with membarrier(2): the answer itself, or on kernels before 6.3 what the commands say that want a registration
/// (EPERM without one). Of MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED these tell nothing; without it a barrier is only slower for others.
struct Membarrier {
    registrations: usize,
    /// With the bit of the command that registers for it.
    probes: Vec<(u64, usize)>,
}

/// linux/membarrier.h.
const GET_REGISTRATIONS: u64 = 1 << 9;
const PRIVATE_EXPEDITED: [u64; 3] = [1 << 3, 1 << 5, 1 << 7];

impl Membarrier {
    fn ask(batch: &mut Batch) -> Self {
        Self {
            registrations: batch.call(libc::SYS_membarrier, &[GET_REGISTRATIONS]),
            probes: PRIVATE_EXPEDITED
                .iter()
                .map(|command| (command << 1, batch.call(libc::SYS_membarrier, &[*command])))
                .collect(),
        }
    }

    fn registered(&self, done: &Done) -> u64 {
        let probed = || self.probes.iter().filter(|(_, call)| done.result(*call).is_ok()).map(|(bit, _)| bit).sum();
        done.result(self.registrations).unwrap_or_else(|_| probed())
    }
}

impl Questions {
    /// brk(0), PR_GET_THP_DISABLE. What mlockall(2) holds for the future shows only in memory that is new: our scratch mapping.
    pub fn ask(batch: &mut Batch, scene: &Scene<'_>, scratch: Scratch) -> Result<Self> {
        let locked = |status: &Status| status.number("VmLck").unwrap_or(0);
        let more = locked(&Status::of(scene.live_tid)?) > locked(&scene.status);
        Ok(Self {
            brk: batch.call(libc::SYS_brk, &[0]),
            thp_disable: batch.call(libc::SYS_prctl, &[libc::PR_GET_THP_DISABLE as u64]),
            memory_merge: batch.call(libc::SYS_prctl, &[libc::PR_GET_MEMORY_MERGE as u64]),
            membarrier: Membarrier::ask(batch),
            locked: more.then(|| {
                let slot = batch.space(1);
                batch.call(libc::SYS_mincore, &[(scratch.base + SCRATCH - 1) & !4095, 4096, slot.addr]);
                slot
            }),
        })
    }

    fn mlock_future(&self, done: &Done) -> u32 {
        match self.locked {
            None => 0,
            Some(slot) if done.bytes(slot)[0] & 1 != 0 => MCL_FUTURE,
            Some(_) => MCL_FUTURE | MCL_ONFAULT,
        }
    }
}

/// Adds the landmarks.
pub fn collect(
    scene: &Scene<'_>,
    questions: &Questions,
    done: &Done,
    ids: &mut Ids,
    objects: &mut Objects,
    out: &mut Collected,
) -> Result<()> {
    let field = |n| scene.stat.field(n).map(|v| Addr(v as u64));
    let auxv = scene.auxv()?;
    let mm = Mm {
        start_code: field(26)?,
        end_code: field(27)?,
        start_stack: field(28)?,
        start_data: field(45)?,
        end_data: field(46)?,
        start_brk: field(47)?,
        brk: Addr(done.result(questions.brk)?),
        arg_start: field(48)?,
        arg_end: field(49)?,
        env_start: field(50)?,
        env_end: field(51)?,
        exe: objects.executable(scene, ids, out)?,
        thp_disable: done.result(questions.thp_disable).map_or(0, |v| v as u32),
        memory_merge: done.result(questions.memory_merge).map_or(0, |v| v as u32),
        reserved: 0,
        mlock_future: questions.mlock_future(done),
        auxv: auxv.into_iter().map(Addr).collect(),
        membarrier: Addr(questions.membarrier.registered(done)),
        coredump_filter: Addr(coredump_filter(scene)?),
    };
    out.add(scene.id, mm);
    Ok(())
}

fn coredump_filter(scene: &Scene<'_>) -> Result<u64> {
    let text = String::from_utf8_lossy(&scene.file("coredump_filter")?).into_owned();
    match u64::from_str_radix(text.trim(), 16) {
        Ok(filter) => Ok(filter),
        Err(_) => {
            refuse(RefusalKind::Machine, format!("/proc/{}/coredump_filter: unexpected text: {text}", scene.live_tid))
        }
    }
}
