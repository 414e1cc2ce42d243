//! Resource limits.

use cryo_format::section::limits::Limits;

use super::{Cx, Print};
use crate::block::{Blocks, Table};
use crate::names::one_of;

const NAMES: &[(u64, &str)] = &[
    (0, "CPU"),
    (1, "FSIZE"),
    (2, "DATA"),
    (3, "STACK"),
    (4, "CORE"),
    (5, "RSS"),
    (6, "NPROC"),
    (7, "NOFILE"),
    (8, "MEMLOCK"),
    (9, "AS"),
    (10, "LOCKS"),
    (11, "SIGPENDING"),
    (12, "MSGQUEUE"),
    (13, "NICE"),
    (14, "RTPRIO"),
    (15, "RTTIME"),
];

impl Print for Limits {
    const TITLE: &'static str = "limits";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let mut table = Table::new(&["RLIMIT_", ">soft", ">hard"]);
        for l in &self.limits {
            table.row([one_of(l.resource.into(), NAMES), value(l.soft), value(l.hard)]);
        }
        out.table(table);
    }
}

fn value(limit: u64) -> String {
    if limit == u64::MAX { "unlimited".to_owned() } else { limit.to_string() }
}
