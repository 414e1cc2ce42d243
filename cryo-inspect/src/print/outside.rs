//! An open file description whose other end is not in the image.

use cryo_format::section::outside::{Outside, Policy};

use super::{Cx, Print};
use crate::block::Blocks;
use crate::names::open::open_flags;
use crate::text::{shown, shown_or};

impl Print for Outside {
    const TITLE: &'static str = "outside";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let instead = match self.policy {
            Policy::INHERIT => format!("the thawer's descriptor {}", self.inherit),
            Policy::NULL => "/dev/null".to_owned(),
            Policy::PATH => shown(&self.path),
            Policy::TERMINAL => "the thawer's terminal".to_owned(),
            Policy(other) => format!("policy {other}"),
        };
        out.value("what", shown_or(&self.what, "(unnamed)"));
        write!(out, "  ");
        out.value("flags", open_flags(self.open_flags.0));
        write!(out, "  thawed as ");
        out.value("thawed_as", instead);
        writeln!(out);
    }
}
