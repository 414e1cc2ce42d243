//! The processor that a thaw needs.

use cryo_format::section::cpu::Cpu;

use super::{Cx, Print};
use crate::block::{Blocks, Fields};
use crate::print::fpu;
use crate::text::wrap;
use crate::text::{shown, shown_or};

impl Print for Cpu {
    const TITLE: &'static str = "processor";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let mut fields = Fields::default();
        fields.add("frozen on", shown_or(&self.brand, "(unknown)"));
        fields.add("enabled", format!("{} (XCR0 {})", fpu::components(self.xcr0.0), self.xcr0));
        fields.add("in use", fpu::components(self.in_use.0));
        let names = self.features.iter().map(|f| shown(f));
        fields.add_if(!self.features.is_empty(), "features", || wrap(names, 100));
        out.fields(fields);
    }
}
