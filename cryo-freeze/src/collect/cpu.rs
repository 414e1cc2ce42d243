//! `CPU `: what another processor must have.

use cryo_format::prim::{Addr, Bytes};
use cryo_format::section::cpu::Cpu;
use cryo_format::section::xstate::Xstate;
use cryo_tracee::cpu;

use super::Collected;

/// Adds this processor, and what of it the threads use. To be called when their extended state has been collected.
pub fn collect(out: &mut Collected) {
    let (mut xcr0, mut in_use) = (0, 0);
    for x in out.sections::<Xstate>() {
        xcr0 |= x.xcr0.0;
        in_use |= cpu::in_use(&x.area) & x.xcr0.0;
    }
    let (brand, _) = cpu::brand_and_features();
    let features = cpu::instructions().map(Bytes::from).collect();
    out.add(0, Cpu { brand: brand.as_str().into(), xcr0: Addr(xcr0), in_use: Addr(in_use), features });
}
