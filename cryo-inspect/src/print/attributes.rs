//! Owners, times and extended attributes of files that only the image holds.

use cryo_format::section::attributes::Attributes;

use super::{Cx, Order, Print};
use crate::block::Blocks;
use crate::text::shown;

impl Print for Attributes {
    const TITLE: &'static str = "attributes of files in the image";
    const ORDER: Order = Order::Late;

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        for i in &self.inodes {
            write!(out, "object {}  uid {} gid {}", i.object, i.uid, i.gid);
            for e in &i.extended {
                write!(out, "  {} ({} bytes)", shown(&e.name), e.value.len());
            }
            writeln!(out);
        }
    }
}
