//! The files and memory objects that mappings and descriptors refer to.

use cryo_format::prim::hex;
use cryo_format::section::objects::{Object, ObjectKind, Objects};

use super::{Cx, Order, Print, object_name};
use crate::block::{Blocks, Table};
use crate::names::{bits, one_of, open};
use crate::text::{count, size, time};

const SEALS: &[(u64, &str)] =
    &[(1, "seal"), (2, "shrink"), (4, "grow"), (8, "write"), (16, "future-write"), (32, "exec")];

impl Print for Objects {
    const TITLE: &'static str = "objects";
    const ORDER: Order = Order::Late;

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        if self.objects.is_empty() {
            return writeln!(out, "none");
        }
        let mut table = Table::new(&[">id", "kind", ">size", "mode", "changed", "name"]);
        for o in &self.objects {
            let changed = if o.mtime_sec == 0 { "-".to_owned() } else { time(o.mtime_sec) };
            let name = [vec![object_name(o)], details(o, cx)].concat().join("\n");
            let mode = if o.mode == 0 {
                "-".to_owned()
            } else {
                open::mode(if o.kind == ObjectKind::SYSV_SHM { o.mode & 0o777 | 0o100_000 } else { o.mode })
            };
            table.row([o.id.to_string(), kind(o.kind), size(o.size), mode, changed, name]);
        }
        out.table(table);
    }
}

fn kind(kind: ObjectKind) -> String {
    one_of(kind.0.into(), &[(0, "file"), (1, "deleted"), (2, "anon"), (3, "memfd"), (4, "shm"), (5, "vdso")])
}

/// What is worth a line of its own.
fn details(o: &Object, cx: &Cx<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if o.embedded != 0 {
        let p = cx.ice.pages(o.id);
        lines.push(format!("in the image: {} stored, {} zero", count(p.stored, "page", "pages"), p.zero));
    }
    if !o.build_id.is_empty() {
        let short = &o.build_id[..o.build_id.len().min(32)];
        lines.push(format!("build-id {}", hex(short)));
    }
    if o.huge_page != 0 {
        lines.push(format!("huge TLB pages of {}", size(o.huge_page)));
    }
    if o.seals != 0 {
        lines.push(format!("seals {}", bits(o.seals.into(), SEALS, " ")));
    }
    if o.kind == ObjectKind::SYSV_SHM {
        lines.push(format!("key {:#x}, shmid {}", o.shm.0 as u32, o.shm.0 >> 32));
        if o.mode & 0o1000 != 0 {
            lines.push("marked for removal".to_owned());
        }
    }
    lines
}
