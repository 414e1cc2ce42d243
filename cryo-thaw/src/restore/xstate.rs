//! `XSTA`: x87, SSE, AVX and the like.

use cryo_format::section::xstate::{Component, Xstate};
use cryo_tracee::{Stopped, cpu};

use crate::Result;
use crate::error::{RefusalKind, refuse};

const LEGACY: usize = 512;
const HEADER: usize = 64;

/// Protection keys: the component's number, and what the kernel sets for a program that has none of its own (man 7 pkeys).
const PKRU: u32 = 9;
const PKRU_DEFAULT: [u8; 4] = 0x5555_5554u32.to_le_bytes();

/// Components that hold anything. A CPU may say that one is in use whose bytes are those of its initial state (zeros, or the keys that the kernel gives
/// everyone): without it the program goes on as well.
pub fn held(x: &Xstate) -> u64 {
    let initial = |c: &&Component| {
        let bytes = x.area.get(c.offset as usize..).and_then(|a| a.get(..c.size as usize));
        bytes.is_some_and(|b| b.iter().all(|b| *b == 0) || c.number == PKRU && b.starts_with(&PKRU_DEFAULT))
    };
    let layout = x.layout.iter().filter(|c| c.number < 64);
    layout.filter(initial).fold(cpu::in_use(&x.area), |held, c| held & !(1 << c.number))
}

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
        return refuse(RefusalKind::Image, format!("the image's extended state has only {} bytes", from.len()));
    }
    if here.len() <= LEGACY {
        return Ok(from[..LEGACY].to_vec());
    }
    let mut area = vec![0; here.len()];
    area[..LEGACY].copy_from_slice(&from[..LEGACY]);
    // The bytes that the kernel keeps for itself say which components this CPU has.
    area[464..LEGACY].copy_from_slice(&here[464..LEGACY]);
    let xcr0 = cpu::xcr0_of(here);
    // What is not here was looked at before anything was started; keys that the old CPU had not stay as the kernel sets them here.
    let keys = cpu::in_use(here) & !x.xcr0.0 & 1 << PKRU;
    let in_use = cpu::in_use(from) & xcr0 | keys;
    area[LEGACY..LEGACY + 8].copy_from_slice(&in_use.to_le_bytes());
    for c in cpu::xstate_layout(xcr0) {
        if in_use >> c.number & 1 == 0 {
            continue;
        }
        if keys >> c.number & 1 != 0 {
            let range = c.offset as usize..(c.offset + c.size) as usize;
            if let (Some(to), Some(from)) = (area.get_mut(range.clone()), here.get(range)) {
                to.copy_from_slice(from);
            }
            continue;
        }
        let theirs = x.layout.iter().find(|l| l.number == c.number);
        let source = theirs.and_then(|l| from.get(l.offset as usize..)?.get(..l.size.min(c.size) as usize));
        let Some(source) = source else {
            return refuse(
                RefusalKind::Image,
                format!("the image's extended state lacks component {} that it says is in use", c.number),
            );
        };
        let at = c.offset as usize;
        if at < LEGACY + HEADER || at + source.len() > area.len() {
            return refuse(RefusalKind::Image, format!("extended state: component {} does not fit", c.number));
        }
        area[at..at + source.len()].copy_from_slice(source);
    }
    Ok(area)
}
