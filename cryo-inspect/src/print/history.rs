//! What an overseer has seen: how each descriptor came about, and whether its view and the kernel's differ.

use cryo_format::section::history::{History, Made};

use super::{Cx, Print};
use crate::block::{Blocks, Cell, Table};
use crate::text::shown;

impl Print for History {
    const TITLE: &'static str = "history";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let mut table = Table::new(&[">made", ">fd", "kind", "flags", "mode", "from", "opened as", "names since"]);
        let mut made: Vec<&Made> = self.descriptors.iter().collect();
        made.sort_by_key(|d| (d.order, d.fd));
        for d in made {
            let octal = |n: u64| if n == 0 { Cell::from(String::new()) } else { Cell::from(format!("{n:o}")) };
            let order = if d.order == 0 { "given".to_owned() } else { d.order.to_string() };
            let from = if d.source < 0 { String::new() } else { d.source.to_string() };
            let names: Vec<String> = d.names.iter().map(|name| shown(name)).collect();
            let opened = if d.path.is_empty() { shown(&d.absolute) } else { shown(&d.path) };
            table.row([
                order.into(),
                Cell::number(d.fd.into()),
                shown(&d.kind).into(),
                octal(d.flags),
                octal(d.mode.into()),
                from.into(),
                opened.into(),
                names.join(", ").into(),
            ]);
        }
        out.table(table);
        write!(out, "compared with the kernel's tables: ");
        out.value("compared", self.compared.to_string());
        writeln!(out, " descriptors and signals, {} of them different", self.differences.len());
        for d in &self.differences {
            out.list("differences");
            out.value("object", shown(&d.object));
            write!(out, ": ");
            out.value("text", shown(&d.text));
            writeln!(out);
        }
    }
}
