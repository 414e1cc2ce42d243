//! What holds a set together.

use cryo_format::section::link::Link;

use super::{Cx, Order, Print};
use crate::block::{Blocks, Fields};

impl Print for Link {
    const TITLE: &'static str = "made together with";
    const ORDER: Order = Order::Late;

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let mut fields = Fields::default();
        fields.add("template", self.frore_set.to_string());
        fields.add(".frore root", self.frore_root.to_string());
        fields.add(".frost root", self.frost_root.to_string());
        out.fields(fields);
    }
}
