//! Guards inside mappings.

use cryo_format::section::guards::Guards;

use super::{Cx, Order, Print};
use crate::block::{Blocks, Cell};

impl Print for Guards {
    const TITLE: &'static str = "guards";
    const ORDER: Order = Order::Late;

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        for g in &self.guards {
            out.list("ranges");
            out.value("start", Cell::hex(format!("{:012x}", g.start.0), g.start.0));
            write!(out, "-");
            out.value("end", Cell::hex(format!("{:012x}", g.end.0), g.end.0));
            writeln!(out);
        }
    }
}
