//! The landmarks of an address space.

use cryo_format::prim::Addr;
use cryo_format::section::mm::Mm;

use super::{Cx, Print};
use crate::block::{Blocks, Fields};
use crate::names::bits;
use crate::text::size;
use crate::text::wrap;

/// Entries of the auxiliary vector that are shown; programs have about twenty.
const MOST: usize = 64;

/// Commands of membarrier(2) that register.
const MEMBARRIER: &[(u64, &str)] = &[
    (1 << 2, "global-expedited"),
    (1 << 4, "private-expedited"),
    (1 << 6, "private-expedited-sync-core"),
    (1 << 8, "private-expedited-rseq"),
];

impl Print for Mm {
    const TITLE: &'static str = "address space";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let mut fields = Fields::default();
        fields.add_if(self.exe != 0, "executable", || format!("{} (object {})", cx.object_name(self.exe), self.exe));
        for (label, start, end) in [
            ("code", self.start_code, self.end_code),
            ("data", self.start_data, self.end_data),
            ("heap", self.start_brk, self.brk),
            ("arguments", self.arg_start, self.arg_end),
            ("environment", self.env_start, self.env_end),
        ] {
            fields.add(label, range(start, end));
        }
        fields.add("stack", format!("{:012x}", self.start_stack.0));
        fields.add_if(self.thp_disable != 0, "huge pages", || "disabled (PR_SET_THP_DISABLE)".to_owned());
        fields.add_if(self.memory_merge != 0, "equal pages", || "merged (PR_SET_MEMORY_MERGE)".to_owned());
        fields.add_if(self.mlock_future != 0, "mlockall", || {
            bits(self.mlock_future.into(), &[(2, "MCL_FUTURE"), (4, "MCL_ONFAULT")], "|")
        });
        fields.add_if(self.membarrier.0 != 0, "membarrier", || bits(self.membarrier.0, MEMBARRIER, " "));
        fields.add_if(self.coredump_filter.0 != 0x33, "core dumps", || format!("filter {:#x}", self.coredump_filter.0));
        fields.add_if(!self.auxv.is_empty(), "auxv", || wrap(auxv(&self.auxv), 100));
        out.fields(fields);
    }
}

fn range(start: Addr, end: Addr) -> String {
    let len = end.0.checked_sub(start.0).map_or_else(|| "backwards".to_owned(), size);
    format!("{:012x}-{:012x}  {len}", start.0, end.0)
}

/// AT_* of getauxval(3).
fn auxv(words: &[Addr]) -> Vec<String> {
    let pairs = words.chunks_exact(2).map(|p| (p[0].0, p[1].0));
    let mut shown: Vec<String> = pairs.take_while(|(kind, _)| *kind != 0).take(MOST).map(entry).collect();
    if words.len() / 2 > MOST + 1 {
        shown.push("...".to_owned());
    }
    shown
}

fn entry((kind, value): (u64, u64)) -> String {
    match auxv_name(kind) {
        (None, _) => format!("{kind}={value:#x}"),
        (Some(name), true) => format!("{name}={value}"),
        (Some(name), false) => format!("{name}={value:#x}"),
    }
}

/// The name of an AT_* without these letters, if it has one, and whether its value is a plain number.
pub fn auxv_name(kind: u64) -> (Option<&'static str>, bool) {
    let name = match kind {
        2 => "EXECFD",
        3 => "PHDR",
        4 => "PHENT",
        5 => "PHNUM",
        6 => "PAGESZ",
        7 => "BASE",
        8 => "FLAGS",
        9 => "ENTRY",
        11 => "UID",
        12 => "EUID",
        13 => "GID",
        14 => "EGID",
        15 => "PLATFORM",
        16 => "HWCAP",
        17 => "CLKTCK",
        23 => "SECURE",
        24 => "BASE_PLATFORM",
        25 => "RANDOM",
        26 => "HWCAP2",
        27 => "RSEQ_FEATURE_SIZE",
        28 => "RSEQ_ALIGN",
        29 => "HWCAP3",
        30 => "HWCAP4",
        31 => "EXECFN",
        32 => "SYSINFO",
        33 => "SYSINFO_EHDR",
        51 => "MINSIGSTKSZ",
        _ => return (None, false),
    };
    (Some(name), matches!(kind, 4..=6 | 8 | 11..=14 | 17 | 23 | 27 | 28 | 51))
}
