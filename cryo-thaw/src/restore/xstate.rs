//! `XSTA`: x87, SSE, AVX and the like.

use cryo_format::section::xstate::Xstate;
use cryo_tracee::{Stopped, cpu};

use crate::Result;
use crate::error::refuse;

const LEGACY: usize = 512;
const HEADER: usize = 64;

/// Sets the extended state, translated where this CPU lays it out differently.
pub fn restore(thread: &mut Stopped, x: &Xstate) -> Result<()> {
    let here = thread.xstate()?;
    let area = translate(x, &here)?;
    Ok(thread.set_xstate(&area)?)
}

/// The image's area in the layout of `here`, an area of this CPU.
fn translate(x: &Xstate, here: &[u8]) -> Result<Vec<u8>> {
    let from = &x.area[..];
    if from.len() < LEGACY {
        return refuse(format!("the image's extended state has only {} bytes", from.len()));
    }
    if here.len() <= LEGACY {
        return Ok(from[..LEGACY].to_vec());
    }
    let mut area = vec![0; here.len()];
    area[..LEGACY].copy_from_slice(&from[..LEGACY]);
    // The bytes that the kernel keeps for itself say which components this CPU has.
    area[464..LEGACY].copy_from_slice(&here[464..LEGACY]);
    let in_use = cpu::in_use(from);
    area[LEGACY..LEGACY + 8].copy_from_slice(&in_use.to_le_bytes());
    for c in cpu::xstate_layout(cpu::xcr0_of(here)) {
        if in_use >> c.number & 1 == 0 {
            continue;
        }
        let theirs = x.layout.iter().find(|l| l.number == c.number);
        let source = theirs.and_then(|l| from.get(l.offset as usize..)?.get(..l.size.min(c.size) as usize));
        let Some(source) = source else {
            return refuse(format!("the image's extended state lacks component {} that it says is in use", c.number));
        };
        let at = c.offset as usize;
        if at < LEGACY + HEADER || at + source.len() > area.len() {
            return refuse(format!("extended state: component {} does not fit", c.number));
        }
        area[at..at + source.len()].copy_from_slice(source);
    }
    Ok(area)
}
