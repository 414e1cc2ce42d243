//! For programs that read line by line: every row of every table, and what stands in fields, as one object (JSON lines), or under the heads of
//! all of them (CSV). Each says whose it is.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::json::{name, rows, words};
use crate::block::Block;

/// One object on a line for each row.
pub fn jsonl(blocks: &[Block], out: &mut dyn Write) -> io::Result<()> {
    for row in flat(blocks) {
        crate::json::write(&row, out)?;
        writeln!(out)?;
    }
    Ok(())
}

/// A line of heads, then one for each row; what a row does not have stays empty.
pub fn csv(blocks: &[Block], out: &mut dyn Write) -> anyhow::Result<()> {
    let all = flat(blocks);
    let mut heads: Vec<&String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for key in all.iter().flat_map(Map::keys) {
        if seen.insert(key) {
            heads.push(key);
        }
    }
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(&heads)?;
    for row in &all {
        csv.write_record(heads.iter().map(|head| csv_cell(row.get(*head))))?;
    }
    csv.flush()?;
    Ok(())
}

/// A value as it stands between commas: text as it is, anything else as JSON.
pub fn csv_cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => {
            let mut json = Vec::new();
            let _ = crate::json::write(other, &mut json);
            String::from_utf8(json).unwrap_or_default()
        }
    }
}

/// All rows, each with whose it is.
fn flat(blocks: &[Block]) -> Vec<Map<String, Value>> {
    let mut found = Vec::new();
    collect(blocks, &Map::new(), &mut found);
    found
}

fn collect(blocks: &[Block], whose: &Map<String, Value>, found: &mut Vec<Map<String, Value>>) {
    let mut fields = Map::new();
    for block in blocks {
        if let Block::Fields(all) = block {
            fields.extend(all.0.iter().map(|(label, cell)| (name(label), cell.json())));
        }
    }
    let row = |members: Map<String, Value>| whose.clone().into_iter().chain(members).collect::<Map<_, _>>();
    if !fields.is_empty() {
        found.push(row(fields));
    }
    for block in blocks {
        match block {
            Block::Line(line) if line.caption => {}
            Block::Line(line) => match words(line) {
                Value::Object(members) => found.push(row(members)),
                text => found.push(row([("line".to_owned(), text)].into_iter().collect())),
            },
            Block::Fields(_) => {}
            Block::Bytes(_) => {
                if let Value::Object(members) = super::json::value(std::slice::from_ref(block)) {
                    found.push(row(members));
                }
            }
            Block::Table(table) => {
                for value in rows(table) {
                    if let Value::Object(members) = value {
                        found.push(row(members));
                    }
                }
            }
            Block::Group(group) => {
                let mut inner = whose.clone();
                inner.extend(group.id.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
                if group.id.is_empty() && !group.key.is_empty() {
                    inner.insert("section".to_owned(), Value::String(group.key.clone()));
                }
                collect(group.blocks.as_slice(), &inner, found);
            }
        }
    }
}
