//! `SYSC` and `SI32`: the system call that a thread was stopped in, and how it goes on.

use cryo_format::section::syscall::{Restart, Syscall, SyscallI386};

use super::{Cx, Order, Print};
use crate::arch::Arch;
use crate::block::{Blocks, Cell};
use crate::names::syscall;

/// `remaining_ns` is known.
const REMAINING: u32 = 1;

impl Print for Syscall {
    const TITLE: &'static str = "system call";
    const ORDER: Order = Order::First;

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        print(&Call::from(self), out);
    }
}

impl Print for SyscallI386 {
    const TITLE: &'static str = "system call";
    const ORDER: Order = Order::First;

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        print(&Call::from(self), out);
    }
}

/// A call of either machine.
pub struct Call {
    arch: Arch,
    number: u64,
    args: [u64; 6],
    /// How it goes on.
    pub restart: Restart,
    flags: u32,
    remaining_ns: u64,
}

impl From<&Syscall> for Call {
    fn from(c: &Syscall) -> Self {
        let (args, restart, flags, remaining_ns) = (c.args.map(|a| a.0), c.restart, c.flags, c.remaining_ns);
        Self { arch: Arch::X86_64, number: c.number, args, restart, flags, remaining_ns }
    }
}

impl From<&SyscallI386> for Call {
    fn from(c: &SyscallI386) -> Self {
        let (args, restart, flags, remaining_ns) = (c.args.map(u64::from), c.restart, c.flags, c.remaining_ns);
        Self { arch: Arch::I386, number: c.number.into(), args, restart, flags, remaining_ns }
    }
}

impl Call {
    /// The one that a thread was in.
    pub fn of(cx: &Cx<'_>, id: u64) -> Option<Self> {
        let of_i386 = || cx.ice.get::<SyscallI386>(id).map(Self::from);
        cx.ice.get::<Syscall>(id).map(Self::from).or_else(of_i386)
    }

    /// Nanoseconds that are left, if they are known.
    pub fn remaining(&self) -> Option<u64> {
        (self.flags & REMAINING != 0).then_some(self.remaining_ns)
    }

    /// Its name.
    pub fn name(&self) -> Option<&'static str> {
        syscall::name(self.arch, self.number)
    }
}

fn print(call: &Call, out: &mut Blocks) {
    out.value("call", call.shown());
    writeln!(out);
    let how = match call.restart {
        Restart::NONE => format!("done: {} is its result", if call.arch == Arch::I386 { "eax" } else { "rax" }),
        Restart::SYS => "starts again, unless a handler without SA_RESTART runs (ERESTARTSYS)".to_owned(),
        Restart::NOINTR => "starts again (ERESTARTNOINTR)".to_owned(),
        Restart::NOHAND => "starts again, unless a handler runs (ERESTARTNOHAND)".to_owned(),
        Restart::RESTARTBLOCK => "goes on for the time that is left (ERESTART_RESTARTBLOCK)".to_owned(),
        Restart(other) => format!("unknown restart code {other}"),
    };
    out.value("then", how);
    writeln!(out);
    if let Some(ns) = call.remaining() {
        write!(out, "time left: ");
        out.value("left_ns", Cell::duration(ns));
        writeln!(out);
    }
    match call.flags & !REMAINING {
        0 => {}
        rest => writeln!(out, "unknown flags {rest:#x}"),
    }
}

impl Call {
    /// `clock_nanosleep(1, 0, 0x7ffd00010010, 0x7ffd00010020)`
    pub fn shown(&self) -> String {
        let name = self.name();
        let shown = name.map_or(6, syscall::arguments);
        let args: Vec<String> = self.args.iter().take(shown).map(|a| argument(*a)).collect();
        let name = name.map_or_else(|| format!("number {}", self.number), str::to_owned);
        format!("{name}({})", args.join(", "))
    }
}

/// Small numbers as they are, negative ones too (AT_FDCWD, -1), the rest in hex.
fn argument(value: u64) -> String {
    match value {
        0..1024 => value.to_string(),
        v if (v as i64) < 0 && (v as i64) >= -4096 => (v as i64).to_string(),
        v @ 0xffff_f000..=0xffff_ffff => (v as i32).to_string(),
        v => format!("{v:#x}"),
    }
}
