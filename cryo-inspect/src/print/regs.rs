//! General registers, of both machines.

use cryo_format::section::regs::{RegsI386, RegsX86_64};

use super::{Cx, Print};
use crate::block::{Blocks, Cell};
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

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let lines = [
            [("rax", self.rax), ("rbx", self.rbx), ("rcx", self.rcx), ("rdx", self.rdx)],
            [("rsi", self.rsi), ("rdi", self.rdi), ("rbp", self.rbp), ("rsp", self.rsp)],
            [("r8", self.r8), ("r9", self.r9), ("r10", self.r10), ("r11", self.r11)],
            [("r12", self.r12), ("r13", self.r13), ("r14", self.r14), ("r15", self.r15)],
        ];
        for line in lines {
            numbers(out, line.map(|(name, value)| (name, format!("{:016x}", value.0), value.0)), 3);
        }
        place(out, ("rip", format!("{:016x}", self.rip.0), self.rip.0), ("rsp", self.rsp.0), cx);
        call(out, ("rax", self.rax.0 as i64), ("orig_rax", self.orig_rax.0 as i64), cx);
        rflags(out, "rflags", self.eflags.0);
        let segments =
            [("cs", self.cs), ("ss", self.ss), ("ds", self.ds), ("es", self.es), ("fs", self.fs), ("gs", self.gs)];
        selectors(out, segments.map(|(name, value)| (name, value.0)));
        for (i, (name, base)) in [("fs_base", self.fs_base), ("gs_base", self.gs_base)].into_iter().enumerate() {
            write!(out, "{}{name} ", if i == 0 { "" } else { "  " });
            out.value(name, Cell::hex(format!("{:016x}", base.0), base.0));
        }
        writeln!(out);
    }
}

impl Print for RegsI386 {
    const TITLE: &'static str = "registers";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let lines = [
            [("eax", self.eax), ("ebx", self.ebx), ("ecx", self.ecx), ("edx", self.edx)],
            [("esi", self.esi), ("edi", self.edi), ("ebp", self.ebp), ("esp", self.esp)],
        ];
        for line in lines {
            numbers(out, line.map(|(name, value)| (name, format!("{value:08x}"), value.into())), 3);
        }
        place(out, ("eip", format!("{:08x}", self.eip), self.eip.into()), ("esp", self.esp.into()), cx);
        call(out, ("eax", i64::from(self.eax as i32)), ("orig_eax", i64::from(self.orig_eax as i32)), cx);
        rflags(out, "eflags", self.eflags.into());
        let segments =
            [("cs", self.cs), ("ss", self.ss), ("ds", self.ds), ("es", self.es), ("fs", self.fs), ("gs", self.gs)];
        selectors(out, segments.map(|(name, value)| (name, value.into())));
    }
}

fn numbers<const N: usize>(out: &mut Blocks, line: [(&'static str, String, u64); N], width: usize) {
    for (i, (name, text, value)) in line.into_iter().enumerate() {
        write!(out, "{}{name:width$} ", if i == 0 { "" } else { "   " });
        out.value(name, Cell::hex(text, value));
    }
    writeln!(out);
}

fn selectors(out: &mut Blocks, line: [(&'static str, u64); 6]) {
    for (i, (name, value)) in line.into_iter().enumerate() {
        write!(out, "{}{name} ", if i == 0 { "" } else { "  " });
        out.value(name, Cell::hex(format!("{value:x}"), value));
    }
    writeln!(out);
}

/// Where it was, and on which stack.
fn place(out: &mut Blocks, pc: (&'static str, String, u64), sp: (&str, u64), cx: &Cx<'_>) {
    write!(out, "{} ", pc.0);
    out.value(pc.0, Cell::hex(pc.1, pc.2));
    if let Some(code) = cx.at(pc.2) {
        write!(out, "  ");
        out.value("at", code);
    }
    if let Some(stack) = cx.at(sp.1) {
        write!(out, "   {} in ", sp.0);
        out.value("stack", stack);
    }
    writeln!(out);
}

/// The error that a result stands for, and the system call, where there is one: outside of system calls the number is -1.
fn call(out: &mut Blocks, result: (&str, i64), number: (&'static str, i64), cx: &Cx<'_>) {
    let errno = u32::try_from(result.1.wrapping_neg()).ok().filter(|n| (1..4096).contains(n));
    let error = errno.and_then(syscall::errno);
    if let Some(error) = &error {
        write!(out, "{} {} (", result.0, result.1);
        out.value("error", error.as_str());
        write!(out, ")");
    }
    if let Ok(n) = u64::try_from(number.1) {
        let name = syscall::name(cx.arch(), n).unwrap_or("unknown");
        write!(out, "{}{} ", if error.is_some() { "   " } else { "" }, number.0);
        out.value(number.0, Cell::number(n));
        write!(out, " ({name})");
    }
    if error.is_some() || number.1 >= 0 {
        writeln!(out);
    }
}

fn rflags(out: &mut Blocks, name: &'static str, value: u64) {
    let iopl = value >> 12 & 3;
    let names = bits(value & !0x3002, RFLAGS, " ");
    let iopl = if iopl == 0 { String::new() } else { format!(" IOPL={iopl}") };
    write!(out, "{name} ");
    out.value(name, Cell::hex(format!("{value:08x}"), value));
    write!(out, "  ");
    out.value("flags", names + &iopl);
    writeln!(out);
}
