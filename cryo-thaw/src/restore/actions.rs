//! `SIGA`: signal handlers.

use cryo_format::section::actions::{Action, Actions};
use cryo_tracee::arch::i386;
use cryo_tracee::{Arch, Host};

use crate::Result;
use crate::error::Doing;

/// Sets every signal: what the thawer ignores (a shell's background job ignores SIGINT) is inherited by the host, and must not stay.
pub fn restore(host: &mut Host, actions: &Actions) -> Result<()> {
    let (arch, mut batch) = (host.arch(), host.batch()?);
    for signal in (1..=64).filter(|s| *s != libc::SIGKILL as u32 && *s != libc::SIGSTOP as u32) {
        let action = actions.actions.iter().find(|a| a.signal == signal).cloned().unwrap_or(Action::default());
        if signal == libc::SIGTRAP as u32 && action.handler.0 == libc::SIG_IGN as u64 {
            host.thread()?.ignore_traps();
        }
        // struct sigaction is made of words, but for the mask at its end; a handler is called as programs are that made this call.
        let words = [action.handler, action.flags, action.restorer].map(|w| arch.word_of(w.0)).concat();
        let at = batch.put(&[&words[..], &action.mask.0.to_le_bytes()].concat());
        let args = [signal.into(), at.addr, 0, 8];
        match arch {
            Arch::X86_64 => batch.call(libc::SYS_rt_sigaction, &args),
            Arch::I386 => batch.call_i386(i386::nr::RT_SIGACTION, &args),
        };
    }
    host.run(batch)?.all().doing(|| "setting its signal actions".into())
}
