//! Kinds of descriptors and mappings without a file that are known and not carried.

/// Kinds by the names in /proc, and why they cannot be carried.
pub const KINDS: [(&str, &str); 8] = [
    ("userfaultfd", "its process answers page faults, which cannot be carried"),
    (
        "io_uring",
        "io_uring rings are not carried (programs that can do without: node with UV_USE_IO_URING=0, MariaDB with --innodb-use-native-aio=0)",
    ),
    ("bpf-prog", "a BPF program belongs to the kernel that it runs in"),
    ("bpf-map", "a BPF map belongs to the kernel that it is in"),
    ("bpf_link", "a BPF link belongs to the kernel that it is in"),
    ("perf_event", "a perf counter belongs to the machine that it counts on"),
    ("kvm-vm", "a virtual machine is not carried"),
    ("landlock-ruleset", "a Landlock ruleset cannot be read"),
];

/// Why a mapping of one of them cannot be carried, by its path in /proc.
pub fn mapped(path: &[u8]) -> Option<&'static str> {
    let name = path.strip_prefix(b"anon_inode:")?;
    let name = name.strip_prefix(b"[").and_then(|n| n.strip_suffix(b"]")).unwrap_or(name);
    KINDS.iter().find(|(kind, _)| kind.as_bytes() == name).map(|(_, why)| *why)
}
