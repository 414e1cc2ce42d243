//! Who a process is.

use cryo_format::section::process::{Process, ProcessFlags};

use super::{Cx, Order, Print};
use crate::block::{Blocks, Fields};
use crate::names::{bits, signal};
use crate::text::{command_line, shown_or};

const FLAGS: &[(u64, &str)] = &[
    (ProcessFlags::CHILD_SUBREAPER as u64, "child-subreaper"),
    (ProcessFlags::NO_NEW_PRIVS as u64, "no-new-privs"),
    (ProcessFlags::HAS_TTY as u64, "has-terminal"),
    (ProcessFlags::NOT_DUMPABLE as u64, "not-dumpable"),
    (ProcessFlags::MDWE_REFUSE_EXEC_GAIN as u64, "mdwe-refuse-exec-gain"),
    (ProcessFlags::MDWE_NO_INHERIT as u64, "mdwe-no-inherit"),
];

/// personality(2): what stands beside PER_LINUX.
const PERSONALITY: &[(u64, &str)] = &[
    (0x0020000, "UNAME26"),
    (0x0040000, "ADDR_NO_RANDOMIZE"),
    (0x0080000, "FDPIC_FUNCPTRS"),
    (0x0100000, "MMAP_PAGE_ZERO"),
    (0x0200000, "ADDR_COMPAT_LAYOUT"),
    (0x0400000, "READ_IMPLIES_EXEC"),
    (0x0800000, "ADDR_LIMIT_32BIT"),
    (0x1000000, "SHORT_INODE"),
    (0x2000000, "WHOLE_SECONDS"),
    (0x4000000, "STICKY_TIMEOUTS"),
    (0x8000000, "ADDR_LIMIT_3GB"),
];

impl Print for Process {
    const TITLE: &'static str = "identity";
    const ORDER: Order = Order::First;

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let mut fields = Fields::default();
        fields.add("command", command_line(&self.cmdline, 1000));
        fields.add("executable", shown_or(&self.exe, "(unknown)"));
        fields.add("directory", shown_or(&self.cwd, "(unknown)"));
        fields.add_if(*self.root != b"/", "root", || shown_or(&self.root, "(unknown)"));
        fields.add("ids", format!("pid {}  parent {}  group {}  session {}", self.pid, self.ppid, self.pgid, self.sid));
        fields.add("user", format!("uid {}  gid {}  umask {:04o}", four(self.uid), four(self.gid), self.umask));
        fields.add_if(self.flags != 0, "flags", || bits(self.flags.into(), FLAGS, " "));
        fields.add_if(self.personality != 0, "personality", || bits(self.personality, PERSONALITY, " "));
        let adjusted = (self.oom_score_adj.0 as i64).wrapping_sub(1000);
        fields.add_if(adjusted != 0 && self.oom_score_adj.0 <= 2000, "oom_score_adj", || adjusted.to_string());
        fields.add_if(self.exit_signal != 17, "exit signal", || signal::name(self.exit_signal));
        let death = u64::from(self.parent_death_signal);
        fields.add_if(death != 0, "parent-death", || signal::name(death));
        fields.add_if(self.stopped_by != 0, "stopped by", || signal::name(self.stopped_by.into()));
        out.fields(fields);
    }
}

/// Real, effective, saved and filesystem id, where they differ.
fn four(ids: [u32; 4]) -> String {
    let [real, effective, saved, fs] = ids;
    if ids.iter().all(|id| *id == real) {
        return real.to_string();
    }
    format!("{real} (effective {effective}, saved {saved}, fs {fs})")
}
