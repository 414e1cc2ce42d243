//! personality(2), of section `PROC`: what a host has of it from its start on. The rest comes last (`process::finish`).

use cryo_format::section::process::Process;
use cryo_tracee::Host;

use crate::Result;
use crate::error::Doing;

/// What may be read may be executed, too: of old 32-bit programs, without a PT_GNU_STACK. It changes what mmap(2) and mprotect(2) do.
const READ_IMPLIES_EXEC: u64 = 0x40_0000;

/// With which a host is started: the layout of its address space depends on it.
pub fn of_a_host(process: &Process) -> u64 {
    process.personality & !READ_IMPLIES_EXEC
}

/// Once more behind an execve(2), which may have set that flag for its program.
pub fn begin(host: &mut Host, process: &Process) -> Result<()> {
    let personality = of_a_host(process);
    host.call(libc::SYS_personality, [personality, 0, 0, 0, 0, 0]).map(drop).doing(|| "setting its personality".into())
}
