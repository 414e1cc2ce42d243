//! Which pages the image holds: shown within the segment map, and by themselves where that is in another file.

use cryo_format::section::extents::{Content, Extents};

use super::{Cx, Order, Print};
use crate::block::{Blocks, Table};
use crate::text::size;

/// Lines that one batch may take.
const MOST: usize = 1000;

impl Print for Extents {
    const TITLE: &'static str = "pages";
    const ORDER: Order = Order::Within;

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let page = cx.ice.page_size();
        let mut table = Table::new(&["", ">", ""]);
        for e in self.extents.iter().take(MOST) {
            let content = match e.content {
                Content::ZERO => "zero".to_owned(),
                Content::DATA => "stored".to_owned(),
                Content::FILE_DATA => "stored, as in the file".to_owned(),
                Content::PARENT => "with the parent set".to_owned(),
                Content(other) => format!("content {other}"),
            };
            table.row([format!("{:012x}", e.vaddr.0), size(e.pages.saturating_mul(page)), content]);
        }
        out.table(table);
        match self.extents.len() {
            n if n > MOST => writeln!(out, "... and {} more", n - MOST),
            _ => {}
        }
    }
}
