//! `XSTA`: x87, SSE, AVX and the like.

use cryo_format::prim::Addr;
use cryo_format::section::xstate::{Component, Xstate};
use cryo_tracee::{Stopped, cpu};

use super::Collected;
use crate::Result;

/// Adds the extended state of a thread.
pub fn collect(thread: &Stopped, id: u64, out: &mut Collected) -> Result<()> {
    let area = thread.xstate()?;
    let xcr0 = cpu::xcr0_of(&area);
    let layout = cpu::xstate_layout(xcr0)
        .into_iter()
        .map(|c| Component { number: c.number, flags: c.flags, offset: c.offset, size: c.size })
        .collect();
    out.add(id, Xstate { xcr0: Addr(xcr0), layout, area: area.into() });
    Ok(())
}
