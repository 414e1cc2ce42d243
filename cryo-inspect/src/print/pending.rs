//! Signals sent and not yet delivered.

use cryo_format::section::pending::Pending;

use super::{Cx, Print};
use crate::block::Blocks;
use crate::names::signal;

impl Print for Pending {
    const TITLE: &'static str = "pending signals";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        if self.signals.is_empty() {
            return writeln!(out, "none");
        }
        for s in &self.signals {
            out.list("signals");
            writeln!(out, "{}", siginfo(s));
        }
    }
}

const SIGCHLD: i32 = 17;

/// What a siginfo_t says (64-bit layout; sigaction(2)).
fn siginfo(info: &[u8]) -> String {
    let word = |at: usize| {
        let bytes = info.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or_default();
        i32::from_le_bytes(bytes)
    };
    let long = |at: usize| u64::from(word(at) as u32) | u64::from(word(at + 4) as u32) << 32;
    let (number, code) = (word(0), word(8));
    let mut text = format!("{} {}", signal::name(u64::from(number as u32)), signal::code(code));
    let sender = || format!(" from pid {} uid {}", word(16), word(20) as u32);
    match (code, number) {
        (-2, _) => text += &format!(" timer {} overrun {} value {:#x}", word(16), word(20), long(24)),
        (0 | -6, _) => text += &sender(),
        (i32::MIN..0, _) => text += &format!("{} value {:#x}", sender(), long(24)),
        (_, SIGCHLD) => text += &format!("{} status {}", sender(), word(24)),
        (0x80, _) => {}
        (_, 4 | 5 | 7 | 8 | 11) => text += &format!(" at {:#x}", long(16)),
        _ => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(words: &[(usize, i32)]) -> Vec<u8> {
        let mut info = vec![0; 128];
        for (at, word) in words {
            info[*at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        info
    }

    #[test]
    fn senders() {
        assert_eq!(siginfo(&info(&[(0, 10), (16, 77), (20, 1000)])), "SIGUSR1 SI_USER from pid 77 uid 1000");
        assert_eq!(
            siginfo(&info(&[(0, 35), (8, -1), (16, 7), (24, 5)])),
            "SIGRT35 SI_QUEUE from pid 7 uid 0 value 0x5"
        );
        assert_eq!(siginfo(&info(&[(0, 14), (8, 0x80)])), "SIGALRM SI_KERNEL");
        assert_eq!(siginfo(&[1]), "signal 0 SI_USER from pid 0 uid 0");
    }
}
