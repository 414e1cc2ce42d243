//! Clocks that count from the start of the machine.

use std::io::{self, Write};

use cryo_format::section::clocks::Clocks;

use super::{Cx, Fields, Print};
use crate::text::duration;

impl Print for Clocks {
    const TITLE: &'static str = "clocks";

    fn print(&self, out: &mut dyn Write, _: &Cx<'_>) -> io::Result<()> {
        let mut fields = Fields::default();
        fields.add("monotonic", duration(self.monotonic_ns));
        fields.add("boottime", duration(self.boottime_ns));
        fields.print(out)
    }
}
