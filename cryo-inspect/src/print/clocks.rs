//! Clocks that count from the start of the machine.

use cryo_format::section::clocks::Clocks;

use super::{Cx, Print};
use crate::block::{Blocks, Fields};
use crate::text::duration;

impl Print for Clocks {
    const TITLE: &'static str = "clocks";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let mut fields = Fields::default();
        fields.add("monotonic", duration(self.monotonic_ns));
        fields.add("boottime", duration(self.boottime_ns));
        out.fields(fields);
    }
}
