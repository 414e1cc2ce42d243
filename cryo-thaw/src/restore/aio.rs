//! `AIO `: asynchronous I/O contexts.

use cryo_format::section::aio::{Aio, AioContext};
use cryo_tracee::arch::i386;
use cryo_tracee::{Arch, Host, proc};

use crate::Result;
use crate::error::{Doing, RefusalKind, reason, refuse};

/// Requests in one batch.
const AT_ONCE: usize = 256;
/// struct iocb of linux/aio_abi.h.
const REQUEST: usize = 64;

/// Makes them again. The memory is mapped: where their rings will be stands for them what the program cannot tell from free memory.
pub fn restore(host: &mut Host, aio: &Aio) -> Result<()> {
    aio.contexts.iter().try_for_each(|context| make(host, context))
}

fn make(host: &mut Host, context: &AioContext) -> Result<()> {
    let name = format!("the asynchronous I/O context at {}", context.address);
    // fs/aio.c ioctx_alloc and aio_setup_ring: room for twice as many as are asked for, and two more.
    let asked = (context.room() / 2).saturating_sub(1).max(1);
    let mut batch = host.batch()?;
    let place = batch.space(8);
    let args = [asked, place.addr];
    let call = match host.arch() {
        Arch::X86_64 => batch.call(libc::SYS_io_setup, &args),
        Arch::I386 => batch.call_i386(i386::nr::IO_SETUP, &args),
    };
    let done = host.run(batch)?;
    if let Err(e) = done.result(call) {
        let limit = if e.errno() == Some(libc::EAGAIN) { ": raise /proc/sys/fs/aio-max-nr" } else { "" };
        return refuse(
            RefusalKind::Memory,
            format!("{name} ({asked} requests) cannot be made here: {}{limit}", reason(&e)),
        );
    }
    let made = done.word(place, 0);
    let size = proc::mappings(host.pid())?.iter().find(|m| m.start == made).map_or(0, |m| m.end - m.start);
    if size != context.size {
        return refuse(
            RefusalKind::Machine,
            format!(
                "{name} has a ring of {} bytes, which is one of {size} bytes on this machine (it has room for as many requests as the CPUs may want): thaw it on \
                 a machine with as many CPUs",
                context.size
            ),
        );
    }
    done_already(host, made, context.events.len()).doing(|| format!("{name}: moving its tail"))?;
    let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as u64;
    host.call(libc::SYS_mremap, [made, size, size, flags, context.address.0, 0])
        .doing(|| format!("{name}: moving its ring"))?;
    let events: Vec<u8> = context
        .events
        .iter()
        .flat_map(|e| [e.data, e.obj.0, e.res as u64, e.res2 as u64])
        .flat_map(u64::to_le_bytes)
        .collect();
    Ok(host.memory().write(context.address.0 + 32, &events)?)
}

/// So many requests that are done at once, so that the kernel's own tail of the ring is behind them: to poll what is ready.
fn done_already(host: &mut Host, made: u64, events: usize) -> cryo_tracee::Result<()> {
    const POLL: u64 = 5;
    const POLLOUT: u64 = 4;
    if events == 0 {
        return Ok(());
    }
    let ready = host.call(libc::SYS_eventfd2, [0, libc::O_CLOEXEC as u64, 0, 0, 0, 0])?;
    let mut left = events;
    while left > 0 {
        let some = left.min(AT_ONCE);
        let mut batch = host.batch()?;
        let mut request = [0; REQUEST];
        request[16..24].copy_from_slice(&(POLL | ready << 32).to_le_bytes());
        request[24..32].copy_from_slice(&POLLOUT.to_le_bytes());
        let first = batch.put(&request.repeat(some)).addr;
        let pointers: Vec<u8> = (0..some).flat_map(|i| (first + (i * REQUEST) as u64).to_le_bytes()).collect();
        let pointers = batch.put(&pointers);
        let call = batch.call(libc::SYS_io_submit, &[made, some as u64, pointers.addr]);
        left -= (host.run(batch)?.result(call)? as usize).clamp(1, some);
    }
    host.call(libc::SYS_close, [ready, 0, 0, 0, 0, 0]).map(drop)
}
