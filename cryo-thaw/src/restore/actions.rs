//! `SIGA`: signal handlers.

use cryo_format::section::actions::{Action, Actions};
use cryo_tracee::Host;

use crate::Result;
use crate::error::Doing;

/// Sets every signal: what the thawer ignores (a shell's background job ignores SIGINT) is inherited by the host, and must not stay.
pub fn restore(host: &mut Host, actions: &Actions) -> Result<()> {
    let mut batch = host.batch()?;
    for signal in (1..=64).filter(|s| *s != libc::SIGKILL as u32 && *s != libc::SIGSTOP as u32) {
        let action = actions.actions.iter().find(|a| a.signal == signal).cloned().unwrap_or(Action::default());
        if signal == libc::SIGTRAP as u32 && action.handler.0 == libc::SIG_IGN as u64 {
            host.thread()?.ignore_traps();
        }
        let words = [action.handler, action.flags, action.restorer, action.mask];
        let at = batch.put(&words.iter().flat_map(|w| w.0.to_le_bytes()).collect::<Vec<u8>>());
        batch.call(libc::SYS_rt_sigaction, &[signal.into(), at.addr, 0, 8]);
    }
    host.run(batch)?.all().doing(|| "setting its signal actions".into())
}
