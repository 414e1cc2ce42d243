//! capabilities(7).

const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The capabilities of a set; for most of them the other way round: `all but SYS_RESOURCE`.
pub fn set(mask: u64) -> Vec<String> {
    let all = (1 << NAMES.len()) - 1;
    let names = |mask: u64| {
        let known = NAMES.iter().enumerate().filter(move |(i, _)| mask >> i & 1 != 0).map(|(_, n)| (*n).to_owned());
        let rest = mask & !all;
        known.chain((rest != 0).then(|| format!("{rest:#x}")))
    };
    match mask {
        0 => vec!["-".to_owned()],
        _ if mask == all => vec!["all".to_owned()],
        _ if mask & all == mask && mask.count_ones() > 30 => {
            ["all".to_owned(), "but".to_owned()].into_iter().chain(names(all & !mask)).collect()
        }
        _ => names(mask).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        assert_eq!(set(0), ["-"]);
        assert_eq!(set(1 << 21 | 1 << 60), ["SYS_ADMIN", "0x1000000000000000"]);
        assert_eq!(set(0x1ff_feff_ffff).join(" "), "all but SYS_RESOURCE");
        assert_eq!(set((1 << 41) - 1), ["all"]);
    }
}
