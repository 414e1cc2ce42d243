//! Signals, sets of them, and their handlers' flags.

use super::{bits, one_of};

const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// `SIGINT`; `SIGRT34` for what is above the named ones (the C library's own start of SIGRTMIN is not known here).
pub fn name(signal: u64) -> String {
    match signal.checked_sub(1).and_then(|i| NAMES.get(i as usize)) {
        Some(name) => (*name).to_owned(),
        None if (32..=64).contains(&signal) => format!("SIGRT{signal}"),
        None => format!("signal {signal}"),
    }
}

/// The signals of a mask; `-` for none, and the other way round for most of them: `all but SIGINT`.
pub fn set(mask: u64) -> String {
    let names = |mask: u64| {
        let signals = (1..=64).filter(|n| mask & 1 << (n - 1) != 0);
        signals.map(|n| name(n).trim_start_matches("SIG").to_owned()).collect::<Vec<_>>().join(" ")
    };
    match mask {
        0 => "-".to_owned(),
        u64::MAX => "all".to_owned(),
        _ if mask.count_ones() > 32 => format!("all but {}", names(!mask)),
        _ => names(mask),
    }
}

/// SA_* flags of sigaction(2).
pub fn action_flags(flags: u64) -> String {
    const FLAGS: &[(u64, &str)] = &[
        (1, "NOCLDSTOP"),
        (2, "NOCLDWAIT"),
        (4, "SIGINFO"),
        (0x400, "UNSUPPORTED"),
        (0x800, "EXPOSE_TAGBITS"),
        (0x0400_0000, "RESTORER"),
        (0x0800_0000, "ONSTACK"),
        (0x1000_0000, "RESTART"),
        (0x4000_0000, "NODEFER"),
        (0x8000_0000, "RESETHAND"),
    ];
    bits(flags, FLAGS, "|")
}

/// si_code: who sent it.
pub fn code(code: i32) -> String {
    const CODES: &[(u64, &str)] = &[(0, "SI_USER"), (0x80, "SI_KERNEL")];
    const NEGATIVE: &[(u64, &str)] = &[
        (1, "SI_QUEUE"),
        (2, "SI_TIMER"),
        (3, "SI_MESGQ"),
        (4, "SI_ASYNCIO"),
        (5, "SI_SIGIO"),
        (6, "SI_TKILL"),
        (7, "SI_DETHREAD"),
        (60, "SI_ASYNCNL"),
    ];
    if code >= 0 {
        return one_of(code as u64, CODES);
    }
    let n = u64::from(code.unsigned_abs());
    let name = one_of(n, NEGATIVE);
    if name.starts_with('S') { name } else { format!("-{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sets() {
        assert_eq!(
            [name(1), name(31), name(34), name(0), name(65)],
            ["SIGHUP", "SIGSYS", "SIGRT34", "signal 0", "signal 65"]
        );
        assert_eq!(set(0b10), "INT");
        assert_eq!(set(!0b10), "all but INT");
        assert_eq!(action_flags(0x1400_0004), "SIGINFO|RESTORER|RESTART");
        assert_eq!([code(0), code(-6), code(-99), code(7)], ["SI_USER", "SI_TKILL", "-99", "7"]);
    }
}
