//! Signal handlers, and signals that are sent.

use cryo_tracee::Stopped;
use cryo_tracee::tracees::{Call, Watch, When};

use super::{made, watch, word};
use crate::watch::record::What;

pub const WATCHED: &[Watch] = &[
    // Without a new action it only asks.
    watch("rt_sigaction", 13, 174, When::NotNull(1), false),
    watch("sigaction", 0, 67, When::NotNull(1), false),
    made("signal", 0, 48),
    made("kill", 62, 37),
    made("tkill", 200, 238),
    made("tgkill", 234, 270),
    made("rt_sigqueueinfo", 129, 178),
    made("rt_tgsigqueueinfo", 297, 335),
];

pub fn tell(name: &str, call: &Call, _result: i64, thread: &Stopped) -> Option<What> {
    let [a, b, c, ..] = call.args;
    let settable =
        |signal: u64| (1..=64).contains(&signal) && ![libc::SIGKILL, libc::SIGSTOP].contains(&(signal as i32));
    match name {
        // struct kernel_sigaction: handler, flags, restorer, mask. The old one of 32-bit code: handler, mask, flags, restorer. A mask is always of 64 bits, which
        // are two words of 32-bit code; that of the old one is one word.
        "rt_sigaction" | "sigaction" => {
            let (mask, flags) = if name == "sigaction" { (1, 2) } else { (3, 1) };
            let upper = if call.i386 && name == "rt_sigaction" { word(thread, call, b, mask + 1)? } else { 0 };
            settable(a).then_some(What::Handler {
                signal: a as i32,
                handler: word(thread, call, b, 0)?,
                flags: word(thread, call, b, flags)?,
                mask: word(thread, call, b, mask)? | upper << 32,
            })
        }
        "signal" => settable(a).then_some(What::Handler { signal: a as i32, handler: b, flags: 0xc000_0000, mask: 0 }),
        "tgkill" | "rt_tgsigqueueinfo" => Some(What::Sent { to: b as i32, signal: c as i32 }),
        _ => Some(What::Sent { to: a as i32, signal: b as i32 }),
    }
}
