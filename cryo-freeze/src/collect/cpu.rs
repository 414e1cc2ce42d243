//! `CPU `: what another processor must have.

use cryo_format::prim::{Addr, Bytes};
use cryo_format::section::cpu::Cpu;
use cryo_tracee::cpu;

use super::Collected;

/// Adds this processor, and what of it the threads use. To be called when their extended state has been collected.
pub fn collect(out: &mut Collected) {
    let (brand, _) = cpu::brand_and_features();
    let features = cpu::instructions().map(Bytes::from).collect();
    out.add(0, Cpu { brand: brand.as_str().into(), xcr0: Addr(out.xcr0), in_use: Addr(out.in_use), features });
}
