//! The processor that a thaw needs.

use std::io::{self, Write};

use cryo_format::section::cpu::Cpu;

use super::{Cx, Fields, Print};
use crate::print::fpu;
use crate::table::wrap;
use crate::text::{shown, shown_or};

impl Print for Cpu {
    const TITLE: &'static str = "processor";

    fn print(&self, out: &mut dyn Write, _: &Cx<'_>) -> io::Result<()> {
        let mut fields = Fields::default();
        fields.add("frozen on", shown_or(&self.brand, "(unknown)"));
        fields.add("enabled", format!("{} (XCR0 {})", fpu::components(self.xcr0.0), self.xcr0));
        fields.add("in use", fpu::components(self.in_use.0));
        let names = self.features.iter().map(|f| shown(f));
        fields.add_if(!self.features.is_empty(), "features", || wrap(names, 100));
        fields.print(out)
    }
}
