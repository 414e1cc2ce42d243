//! Clocks that count from the start of the machine.

use cryo_format::section::clocks::Clocks;

use super::{Cx, Print};
use crate::block::{Blocks, Cell, Fields};

impl Print for Clocks {
    const TITLE: &'static str = "clocks";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let mut fields = Fields::default();
        fields.add("monotonic", Cell::duration(self.monotonic_ns));
        fields.add("boottime", Cell::duration(self.boottime_ns));
        out.fields(fields);
    }
}
