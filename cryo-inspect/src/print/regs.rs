//! General registers, of both machines.

use std::io::{self, Write};

use cryo_format::section::regs::{RegsI386, RegsX86_64};

use super::{Cx, Print};
use crate::names::{bits, syscall};

/// RFLAGS (Intel SDM vol. 1, 3.4.3); bit 1 is always set and says nothing.
const RFLAGS: &[(u64, &str)] = &[
    (1 << 0, "CF"),
    (1 << 2, "PF"),
    (1 << 4, "AF"),
    (1 << 6, "ZF"),
    (1 << 7, "SF"),
    (1 << 8, "TF"),
    (1 << 9, "IF"),
    (1 << 10, "DF"),
    (1 << 11, "OF"),
    (1 << 14, "NT"),
    (1 << 16, "RF"),
    (1 << 17, "VM"),
    (1 << 18, "AC"),
    (1 << 19, "VIF"),
    (1 << 20, "VIP"),
    (1 << 21, "ID"),
];

impl Print for RegsX86_64 {
    const TITLE: &'static str = "registers";

    fn print(&self, out: &mut dyn Write, cx: &Cx<'_>) -> io::Result<()> {
        let lines = [
            [("rax", self.rax), ("rbx", self.rbx), ("rcx", self.rcx), ("rdx", self.rdx)],
            [("rsi", self.rsi), ("rdi", self.rdi), ("rbp", self.rbp), ("rsp", self.rsp)],
            [("r8", self.r8), ("r9", self.r9), ("r10", self.r10), ("r11", self.r11)],
            [("r12", self.r12), ("r13", self.r13), ("r14", self.r14), ("r15", self.r15)],
        ];
        for line in lines {
            let cells = line.map(|(name, value)| format!("{name:3} {:016x}", value.0));
            writeln!(out, "{}", cells.join("   "))?;
        }
        place(out, "rip", 16, self.rip.0, cx)?;
        place(out, "rsp", 16, self.rsp.0, cx)?;
        result(out, "rax", self.rax.0 as i64)?;
        // The number is -1 outside of system calls.
        if let Ok(number) = u32::try_from(self.orig_rax.0) {
            let name = syscall::name(cx.machine(), number.into()).unwrap_or("unknown");
            writeln!(out, "orig_rax {number}: {name}")?;
        }
        rflags(out, "rflags", self.eflags.0)?;
        writeln!(
            out,
            "cs {:x}  ss {:x}  ds {:x}  es {:x}  fs {:x}  gs {:x}",
            self.cs.0, self.ss.0, self.ds.0, self.es.0, self.fs.0, self.gs.0
        )?;
        writeln!(out, "fs_base {:016x}  gs_base {:016x}", self.fs_base.0, self.gs_base.0)
    }
}

impl Print for RegsI386 {
    const TITLE: &'static str = "registers";

    fn print(&self, out: &mut dyn Write, cx: &Cx<'_>) -> io::Result<()> {
        let lines = [
            [("eax", self.eax), ("ebx", self.ebx), ("ecx", self.ecx), ("edx", self.edx)],
            [("esi", self.esi), ("edi", self.edi), ("ebp", self.ebp), ("esp", self.esp)],
        ];
        for line in lines {
            writeln!(out, "{}", line.map(|(name, value)| format!("{name} {value:08x}")).join("   "))?;
        }
        place(out, "eip", 8, self.eip.into(), cx)?;
        place(out, "esp", 8, self.esp.into(), cx)?;
        result(out, "eax", i64::from(self.eax as i32))?;
        if self.orig_eax != u32::MAX {
            let name = syscall::name(cx.machine(), self.orig_eax.into()).unwrap_or("unknown");
            writeln!(out, "orig_eax {}: {name}", self.orig_eax)?;
        }
        rflags(out, "eflags", self.eflags.into())?;
        writeln!(
            out,
            "cs {:x}  ss {:x}  ds {:x}  es {:x}  fs {:x}  gs {:x}",
            self.cs, self.ss, self.ds, self.es, self.fs, self.gs
        )
    }
}

/// Where a register points.
fn place(out: &mut dyn Write, name: &str, digits: usize, value: u64, cx: &Cx<'_>) -> io::Result<()> {
    let place = cx.at(value).unwrap_or_default();
    writeln!(out, "{}", format!("{name} {value:0digits$x}  {place}").trim_end())
}

/// The error that a result stands for.
fn result(out: &mut dyn Write, name: &str, value: i64) -> io::Result<()> {
    let number = u32::try_from(value.wrapping_neg()).ok().filter(|n| (1..4096).contains(n));
    match number.and_then(syscall::errno) {
        Some(error) => writeln!(out, "{name} {value}: {error}"),
        None => Ok(()),
    }
}

fn rflags(out: &mut dyn Write, name: &str, value: u64) -> io::Result<()> {
    let iopl = value >> 12 & 3;
    let names = bits(value & !0x3002, RFLAGS, " ");
    let iopl = if iopl == 0 { String::new() } else { format!(" IOPL={iopl}") };
    writeln!(out, "{name} {value:08x}  {names}{iopl}")
}
