//! `MM  `: landmarks of the address space.

use cryo_format::prim::Addr;
use cryo_format::section::mm::Mm;
use cryo_tracee::{Batch, proc};

use super::objects::Objects;
use super::thread::Answers;
use super::{Collected, Ids, Scene};
use crate::Result;

/// Calls whose results are answers.
pub struct Questions {
    brk: usize,
    thp_disable: usize,
}

impl Questions {
    /// brk(0), PR_GET_THP_DISABLE.
    pub fn ask(batch: &mut Batch) -> Self {
        Self {
            brk: batch.call(libc::SYS_brk, &[0]),
            thp_disable: batch.call(libc::SYS_prctl, &[libc::PR_GET_THP_DISABLE as u64]),
        }
    }
}

/// Adds the landmarks.
pub fn collect(
    scene: &Scene<'_>,
    answers: &Answers,
    ids: &mut Ids,
    objects: &mut Objects,
    out: &mut Collected,
) -> Result<()> {
    let field = |n| scene.stat.field(n).map(|v| Addr(v as u64));
    let auxv = proc::auxv(scene.pid)?;
    let mm = Mm {
        start_code: field(26)?,
        end_code: field(27)?,
        start_stack: field(28)?,
        start_data: field(45)?,
        end_data: field(46)?,
        start_brk: field(47)?,
        brk: Addr(answers.done.result(answers.mm.brk)?),
        arg_start: field(48)?,
        arg_end: field(49)?,
        env_start: field(50)?,
        env_end: field(51)?,
        exe: objects.executable(scene, ids)?,
        thp_disable: answers.done.result(answers.mm.thp_disable).map_or(0, |v| v as u32),
        mlock_future: 0,
        auxv: auxv.into_iter().map(Addr).collect(),
    };
    out.add(scene.id, mm);
    Ok(())
}
