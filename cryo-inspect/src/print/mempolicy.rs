//! From which nodes memory comes.

use cryo_format::section::mempolicy::{Mbind, Mempolicy};

use super::scheduling::numbers;
use super::{Cx, Order, Print};
use crate::block::{Blocks, Cell};
use crate::names::{bits, one_of};

const MODES: &[(u64, &str)] = &[
    (0, "MPOL_DEFAULT"),
    (1, "MPOL_PREFERRED"),
    (2, "MPOL_BIND"),
    (3, "MPOL_INTERLEAVE"),
    (4, "MPOL_LOCAL"),
    (5, "MPOL_PREFERRED_MANY"),
    (6, "MPOL_WEIGHTED_INTERLEAVE"),
];
const FLAGS: &[(u64, &str)] = &[(0x2000, "NUMA_BALANCING"), (0x4000, "RELATIVE_NODES"), (0x8000, "STATIC_NODES")];

fn policy(mode: u32, flags: u32, nodes: &[u8]) -> String {
    let mut text = one_of(mode.into(), MODES);
    if flags != 0 {
        text += &format!(" {}", bits(flags.into(), FLAGS, " "));
    }
    if !nodes.is_empty() {
        text += &format!("  nodes {}", numbers(nodes));
    }
    text
}

impl Print for Mempolicy {
    const TITLE: &'static str = "memory policy";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        writeln!(out, "{}", policy(self.mode, self.flags, &self.nodes));
    }
}

impl Print for Mbind {
    const TITLE: &'static str = "memory policies";
    const ORDER: Order = Order::Late;

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        for r in &self.ranges {
            out.value("start", Cell::hex(format!("{:012x}", r.start.0), r.start.0));
            write!(out, "-");
            out.value("end", Cell::hex(format!("{:012x}", r.end.0), r.end.0));
            writeln!(out, "  {}", policy(r.mode, r.flags, &r.nodes));
        }
    }
}
