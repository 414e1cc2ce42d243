//! One page for a browser: the same tree, with the picture of the address space. It needs no network, and no other file.

use std::fmt::Write;

use serde_json::Value;

use crate::block::{Block, Cell, Mark, Table};
use crate::text::cut;

/// Rows of one table that are shown; a page is to be read, and never larger than 5 MB.
const ROWS: usize = 2000;
/// Bytes of a page, beyond which only headings are added.
const LARGEST: usize = 4 << 20;

/// Characters of the text at a bar.
const TITLE: usize = 300;

/// A piece of an address space in the picture.
pub struct Bar {
    /// What it is, for the text that appears at it.
    pub title: String,
    /// Its length in proportion.
    pub weight: u64,
    /// How much of it is at each of the places: stored, shared, in files, zero, absent.
    pub parts: [u64; 5],
}

/// The whole page. `picture` has a list of bars for each process.
pub fn page(title: &str, blocks: &[Block], picture: &[(String, Vec<Bar>)]) -> String {
    let mut out = String::new();
    let title = escaped(title);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n"
    );
    for (name, bars) in picture {
        svg(name, bars, &mut out);
    }
    draw(blocks, 2, &mut out);
    let _ = write!(out, "<script>{SCRIPT}</script>\n</body></html>\n");
    out
}

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

fn draw(blocks: &[Block], level: usize, out: &mut String) {
    for block in blocks {
        if out.len() > LARGEST {
            if !out.ends_with("not shown here)</p>\n") {
                out.push_str("<p>(there is more, which is not shown here)</p>\n");
            }
            return;
        }
        match block {
            Block::Line(line) if line.text().is_empty() => {}
            Block::Line(line) => {
                out.push_str("<p>");
                line.parts.iter().for_each(|(_, cell)| span(cell, out));
                out.push_str("</p>\n");
            }
            Block::Fields(fields) => {
                out.push_str("<table>\n");
                for (label, cell) in &fields.0 {
                    let _ = write!(out, "<tr><th>{}</th><td>", escaped(label));
                    span(cell, out);
                    out.push_str("</td></tr>\n");
                }
                out.push_str("</table>\n");
            }
            Block::Table(table) => rows(table, out),
            Block::Bytes(bytes) => {
                let mut text = Vec::new();
                let _ = super::text::draw(&[Block::Bytes(bytes.clone())], None, &mut text);
                let _ = writeln!(out, "<pre>{}</pre>", escaped(&String::from_utf8_lossy(&text)));
            }
            Block::Group(group) => {
                let inside = group.blocks.as_slice();
                if group.title.text.is_empty() {
                    draw(inside, level, out);
                    continue;
                }
                let open = if level < 4 { " open" } else { "" };
                let n = level.min(6);
                let _ = write!(out, "<details{open}><summary><h{n}>");
                span(&group.title, out);
                let _ = writeln!(out, "</h{n}></summary>");
                draw(inside, level + 1, out);
                out.push_str("</details>\n");
            }
        }
    }
}

fn rows(table: &Table, out: &mut String) {
    out.push_str("<table class=\"rows\"><thead><tr>");
    for (head, right) in &table.heads {
        let class = if *right { " class=\"n\"" } else { "" };
        let _ = write!(out, "<th{class}>{}</th>", escaped(head));
    }
    out.push_str("</tr></thead><tbody>\n");
    let mut shown = 0;
    for row in table.rows.iter().take(ROWS) {
        if out.len() > LARGEST {
            break;
        }
        shown += 1;
        out.push_str("<tr>");
        for (cell, (_, right)) in row.iter().zip(&table.heads) {
            let class = if *right { " class=\"n\"" } else { "" };
            // What it is sorted by.
            let sort = match &cell.value {
                Some(Value::Number(n)) => format!(" data-v=\"{n}\""),
                _ => String::new(),
            };
            let _ = write!(out, "<td{class}{sort}>");
            span(cell, out);
            out.push_str("</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
    if table.rows.len() > shown {
        let _ = writeln!(out, "<p>... and {} more</p>", table.rows.len() - shown);
    }
}

/// Characters of a cell.
const CELL: usize = 4096;

fn span(cell: &Cell, out: &mut String) {
    let text = escaped(&cut(cell.text.clone(), CELL)).replace('\n', "<br>");
    let class = match cell.mark {
        Mark::None | Mark::Strong => return out.push_str(&text),
        Mark::Faint => "faint",
        Mark::Warn => "warn",
        Mark::Added => "added",
        Mark::Removed => "removed",
    };
    let _ = write!(out, "<span class=\"{class}\">{text}</span>");
}

/// The address space from its lowest to its highest segment. A small one is drawn larger than it is: it would not be seen.
fn svg(name: &str, bars: &[Bar], out: &mut String) {
    const WIDTH: f64 = 1000.0;
    const COLOURS: [&str; 5] = ["stored", "shared", "file", "zero", "absent"];
    #[allow(clippy::cast_precision_loss)] // a picture
    let weight = |b: &Bar| (b.weight as f64).log2().max(1.0);
    let whole: f64 = bars.iter().map(weight).sum();
    if bars.is_empty() || out.len() > LARGEST / 2 {
        return;
    }
    let _ = write!(
        out,
        "<h2>{}</h2>\n<svg class=\"map\" viewBox=\"0 0 1000 60\" preserveAspectRatio=\"none\" role=\"img\">\n",
        escaped(name)
    );
    let mut x = 0.0;
    for bar in bars {
        if out.len() > LARGEST / 2 {
            break;
        }
        let width = weight(bar) / whole * WIDTH;
        let sum: u64 = bar.parts.iter().sum::<u64>().max(1);
        let _ = write!(out, "<g><title>{}</title>", escaped(&cut(bar.title.clone(), TITLE)));
        let mut y = 0.0;
        for (part, class) in bar.parts.iter().zip(COLOURS) {
            #[allow(clippy::cast_precision_loss)] // a picture
            let height = *part as f64 / sum as f64 * 60.0;
            if *part > 0 {
                let _ = write!(
                    out,
                    "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{:.2}\" height=\"{height:.2}\"/>",
                    width * 0.96
                );
            }
            y += height;
        }
        out.push_str("</g>\n");
        x += width;
    }
    out.push_str("</svg>\n<p class=\"key\"><i class=\"stored\"></i>stored <i class=\"shared\"></i>shared <i class=\"file\"></i>in files <i class=\"zero\"></i>zero <i class=\"absent\"></i>not here; widths are logarithms; wheel and double click zoom</p>\n");
}

/// No text of an image is markup, in no place.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Blocks;

    #[test]
    fn an_image_writes_no_markup() {
        let mut table = Table::new(&["a"]);
        table.row(["<script>alert(1)</script>\" onload='x'"]);
        let mut blocks = Blocks::default();
        blocks.table(table);
        let text = page("</title><b>", &blocks.into_vec(), &[]);
        assert!(
            !text.contains("<script>alert") && !text.contains("</title><b>") && !text.contains("onload='"),
            "{text}"
        );
        assert!(text.contains("&lt;script&gt;alert(1)"));
    }
}
