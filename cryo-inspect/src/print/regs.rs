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
        place(out, ("rip", &format!("{:016x}", self.rip.0), self.rip.0), ("rsp", self.rsp.0), cx)?;
        call(out, ("rax", self.rax.0 as i64), ("orig_rax", self.orig_rax.0 as i64), cx)?;
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
        place(out, ("eip", &format!("{:08x}", self.eip), self.eip.into()), ("esp", self.esp.into()), cx)?;
        call(out, ("eax", i64::from(self.eax as i32)), ("orig_eax", i64::from(self.orig_eax as i32)), cx)?;
        rflags(out, "eflags", self.eflags.into())?;
        writeln!(
            out,
            "cs {:x}  ss {:x}  ds {:x}  es {:x}  fs {:x}  gs {:x}",
            self.cs, self.ss, self.ds, self.es, self.fs, self.gs
        )
    }
}

/// Where it was, and on which stack.
fn place(out: &mut dyn Write, pc: (&str, &str, u64), sp: (&str, u64), cx: &Cx<'_>) -> io::Result<()> {
    let mut line = format!("{} {}", pc.0, pc.1);
    if let Some(code) = cx.at(pc.2) {
        line += &format!("  {code}");
    }
    if let Some(stack) = cx.at(sp.1) {
        line += &format!("   {} in {stack}", sp.0);
    }
    writeln!(out, "{line}")
}

/// The error that a result stands for, and the system call, where there is one: outside of system calls the number is -1.
fn call(out: &mut dyn Write, result: (&str, i64), number: (&str, i64), cx: &Cx<'_>) -> io::Result<()> {
    let mut parts = Vec::new();
    let errno = u32::try_from(result.1.wrapping_neg()).ok().filter(|n| (1..4096).contains(n));
    if let Some(error) = errno.and_then(syscall::errno) {
        parts.push(format!("{} {} ({error})", result.0, result.1));
    }
    if let Ok(n) = u64::try_from(number.1) {
        parts.push(format!("{} {n} ({})", number.0, syscall::name(cx.machine(), n).unwrap_or("unknown")));
    }
    if parts.is_empty() { Ok(()) } else { writeln!(out, "{}", parts.join("   ")) }
}

fn rflags(out: &mut dyn Write, name: &str, value: u64) -> io::Result<()> {
    let iopl = value >> 12 & 3;
    let names = bits(value & !0x3002, RFLAGS, " ");
    let iopl = if iopl == 0 { String::new() } else { format!(" IOPL={iopl}") };
    writeln!(out, "{name} {value:08x}  {names}{iopl}")
}
