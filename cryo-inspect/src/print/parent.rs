//! The set that has pages of this one.

use cryo_format::section::parent::ParentSet;

use super::{Cx, Order, Print};
use crate::block::{Blocks, Cell, Fields};
use crate::text::shown;

impl Print for ParentSet {
    const TITLE: &'static str = "pages with a parent";
    const ORDER: Order = Order::Late;

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let mut fields = Fields::default();
        fields.add("parent", shown(&self.name));
        fields.add("set", self.set.to_string());
        fields.add("root", self.root.to_string());
        fields.add("sets below", Cell::number(self.depth.into()));
        out.fields(fields);
    }
}
