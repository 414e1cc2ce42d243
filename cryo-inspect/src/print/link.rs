//! What holds a set together.

use std::io::{self, Write};

use cryo_format::section::link::Link;

use super::{Cx, Fields, Order, Print};

impl Print for Link {
    const TITLE: &'static str = "made together with";
    const ORDER: Order = Order::Late;

    fn print(&self, out: &mut dyn Write, _: &Cx<'_>) -> io::Result<()> {
        let mut fields = Fields::default();
        fields.add("template", self.frore_set.to_string());
        fields.add(".frore root", self.frore_root.to_string());
        fields.add(".frost root", self.frost_root.to_string());
        fields.print(out)
    }
}
