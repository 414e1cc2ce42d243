//! What a thread may ask of the kernel.

use cryo_format::section::seccomp::{Filter, Seccomp};

use super::{Cx, Print};
use crate::block::Blocks;
use crate::text::count;

/// Filters that are shown; JSON has the rest, and their instructions.
const MOST: usize = 32;

impl Print for Seccomp {
    const TITLE: &'static str = "seccomp";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        match self.mode {
            0 => writeln!(out, "none"),
            1 => writeln!(out, "strict: read, write, exit and sigreturn only"),
            _ => writeln!(out, "{}", count(self.filters.len() as u64, "filter", "filters")),
        }
        for f in self.filters.iter().take(MOST) {
            let log = if f.flags & 2 != 0 { ", logs" } else { "" };
            writeln!(out, "{}{log}: {}", count(f.program.len() as u64, "instruction", "instructions"), outcomes(f));
        }
    }
}

/// What its return instructions answer.
fn outcomes(f: &Filter) -> String {
    const RET_K: u16 = 0x06;
    const RET_A: u16 = 0x16;
    let mut found: Vec<&str> = Vec::new();
    for i in &f.program {
        let outcome = match (i.code, i.k & 0xffff_0000) {
            (RET_A, _) => "computed",
            (RET_K, 0x8000_0000) => "kill process",
            (RET_K, 0) => "kill thread",
            (RET_K, 0x0003_0000) => "trap",
            (RET_K, 0x0005_0000) => "errno",
            (RET_K, 0x7fc0_0000) => "notify",
            (RET_K, 0x7ff0_0000) => "trace",
            (RET_K, 0x7ffc_0000) => "log",
            (RET_K, 0x7fff_0000) => "allow",
            (RET_K, _) => "unknown",
            _ => continue,
        };
        if !found.contains(&outcome) {
            found.push(outcome);
        }
    }
    found.join(", ")
}
