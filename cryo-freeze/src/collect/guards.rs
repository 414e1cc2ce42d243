//! `GARD`: guards inside mappings. The page map tells of them since Linux 6.15; on 6.13 and 6.14 they can be made, and nobody can see them.

use cryo_format::prim::Addr;
use cryo_format::section::guards::{Guard, Guards};
use cryo_tracee::proc::Present;

use super::Collected;

/// Adds them, if there are any. Neighbours in two mappings are one.
pub fn collect(process: u64, mut found: Vec<Present>, out: &mut Collected) {
    found.sort_by_key(|p| p.start);
    let mut guards: Vec<Guard> = Vec::new();
    for p in found {
        match guards.last_mut() {
            Some(last) if last.end.0 >= p.start => last.end.0 = last.end.0.max(p.end),
            _ => guards.push(Guard { start: Addr(p.start), end: Addr(p.end) }),
        }
    }
    if !guards.is_empty() {
        out.add(process, Guards { guards: guards.into() });
    }
}
