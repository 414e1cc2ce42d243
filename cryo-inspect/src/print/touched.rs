//! The order in which pages were touched after a thaw.

use cryo_format::section::touched::Touched;

use super::{Cx, Order, Print};
use crate::block::{Blocks, Cell, Table};
use crate::text::size;

impl Print for Touched {
    const TITLE: &'static str = "pages touched first";
    const ORDER: Order = Order::Late;

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let bytes: u64 = self.ranges.iter().map(|r| r.end.0.saturating_sub(r.start.0)).sum();
        out.caption(format!("{} in this order when it was thawed once (cryo-thaw --lazy --learn)", size(bytes)));
        let mut table = Table::new(&["range", ">size"]);
        for r in &self.ranges {
            table.row([
                Cell::from(format!("{:012x}-{:012x}", r.start.0, r.end.0)),
                Cell::size(r.end.0.saturating_sub(r.start.0)),
            ]);
        }
        out.table(table);
    }
}
