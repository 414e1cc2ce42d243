//! Where and when the freeze was made.

use cryo_format::section::origin::Origin;

use super::{Cx, Order, Print};
use crate::block::{Blocks, Fields};
use crate::text::{duration, shown_or, time};

impl Print for Origin {
    const TITLE: &'static str = "origin";
    const ORDER: Order = Order::First;

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let mut fields = Fields::default();
        fields.add("frozen", format!("{} by {}", time(self.time_sec), shown_or(&self.tool, "an unnamed tool")));
        fields.add("on", format!("{}, {}", shown_or(&self.host, "(unknown)"), shown_or(&self.kernel, "(unknown)")));
        fields.add_if(self.stopped_ns != 0, "stood still", || format!("for {}", duration(self.stopped_ns)));
        out.fields(fields);
    }
}
