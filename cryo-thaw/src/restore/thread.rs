//! `THRD`: what the kernel keeps for a thread.

use cryo_format::section::thread::Thread;
use cryo_tracee::arch::i386;
use cryo_tracee::{Arch, Dispatch, Host, Stopped};

use crate::Result;
use crate::error::Doing;

/// RSEQ_FLAG_UNREGISTER has no part here: the host never ran, so nothing is registered.
pub fn restore(host: &mut Host, i: usize, thread: &Thread) -> Result<()> {
    let mut batch = host.batch()?;
    let comm = batch.put(&[&thread.comm[..], b"\0"].concat());
    batch.call(libc::SYS_prctl, &[libc::PR_SET_NAME as u64, comm.addr]);
    let mut stack = thread.altstack_sp.0.to_le_bytes().to_vec();
    stack.extend_from_slice(&thread.altstack_flags.to_le_bytes());
    stack.extend_from_slice(&thread.altstack_size.to_le_bytes());
    let stack = batch.put(&stack);
    batch.call(libc::SYS_sigaltstack, &[stack.addr, 0]);
    batch.call(libc::SYS_set_tid_address, &[thread.clear_child_tid.0]);
    if thread.robust_list.0 != 0 {
        let args = [thread.robust_list.0, thread.robust_list_len];
        match host.arch() {
            Arch::X86_64 => batch.call(libc::SYS_set_robust_list, &args),
            Arch::I386 => batch.call_i386(i386::nr::SET_ROBUST_LIST, &args),
        };
    }
    if thread.rseq.0 != 0 {
        // The kernel wants the ids in the area as they are before a registration; it fills them in itself.
        batch.call(libc::SYS_rseq, &[thread.rseq.0, thread.rseq_size.into(), 0, thread.rseq_signature.into()]);
    }
    host.remote_at(i)?.run(batch)?.all().doing(|| format!("setting what the kernel keeps for thread {}", thread.tid))
}

/// The last of all: system calls of ours would be dispatched, too.
pub fn dispatch(stopped: &mut Stopped, thread: &Thread) -> Result<()> {
    if thread.dispatch_mode == 0 {
        return Ok(());
    }
    let (selector, offset) = (thread.dispatch_selector.0, thread.dispatch_offset.0);
    let config = Dispatch { mode: thread.dispatch_mode, selector, offset, len: thread.dispatch_len };
    Ok(stopped.set_dispatch(config)?)
}
