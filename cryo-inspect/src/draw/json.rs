//! For programs: the same tree as JSON.
//!
//! | block | becomes |
//! |---|---|
//! | fields | an object, by their labels, with `_` for what is no letter |
//! | a table | an array of objects, by the heads in the same way |
//! | a line | its named values are members of the object; one of a list is an object, or a string, in that list; mere words are strings in `lines` |
//! | bytes | `{"address", "hex", "more"}` |
//! | groups | members of an object by their keys; an array of those of which there may be many, each with whose it is (`pid`, `tid`) and, where it is a table, its `rows` |
//!
//! Blocks beside each other make one object, in which tables are `rows`.

use serde_json::{Map, Value, json};

use crate::block::{Block, Line, Table};

/// The blocks as one value.
pub fn value(blocks: &[Block]) -> Value {
    let mut object = Map::new();
    let mut said = blocks.iter().filter(|block| !matches!(block, Block::Line(line) if line.caption));
    if let (Some(only), None) = (said.next(), said.next()) {
        match only {
            Block::Table(table) => return Value::Array(rows(table)),
            Block::Bytes(bytes) => {
                return json!({ "address": format!("{:#x}", bytes.address), "hex": cryo_format::prim::hex(&bytes.bytes), "more": bytes.more });
            }
            _ => {}
        }
    }
    for block in blocks {
        match block {
            Block::Line(line) if line.caption => {}
            Block::Line(line) => match (line.list, words(line)) {
                (Some(name), value) => list(&mut object, name).push(value),
                (None, Value::Object(members)) => {
                    members.into_iter().for_each(|(name, value)| put(&mut object, &name, value));
                }
                (None, text) => list(&mut object, "lines").push(text),
            },
            Block::Fields(fields) => {
                for (label, cell) in &fields.0 {
                    put(&mut object, &name(label), cell.json());
                }
            }
            Block::Table(table) => list(&mut object, "rows").extend(rows(table)),
            Block::Bytes(_) => list(&mut object, "bytes").push(value(std::slice::from_ref(block))),
            Block::Group(group) => {
                let inner = value(group.blocks.as_slice());
                let inner = match inner {
                    Value::Object(members) if !group.id.is_empty() => {
                        let ids = group.id.iter().map(|(k, v)| ((*k).to_owned(), v.clone()));
                        Value::Object(ids.chain(members).collect())
                    }
                    Value::Array(rows) if !group.id.is_empty() => {
                        let ids = group.id.iter().map(|(k, v)| ((*k).to_owned(), v.clone()));
                        Value::Object(ids.chain([("rows".to_owned(), Value::Array(rows))]).collect())
                    }
                    other => other,
                };
                if group.many {
                    list(&mut object, &group.key).push(inner);
                } else {
                    put(&mut object, &group.key, inner);
                }
            }
        }
    }
    Value::Object(object)
}

/// A label as a member's name: `RLIMIT_`, `as_file`.
pub fn name(label: &str) -> String {
    if label == "#" {
        return "n".to_owned();
    }
    let mut name = String::new();
    for c in label.trim().chars() {
        let c = if c.is_alphanumeric() { c } else { '_' };
        if c != '_' || !name.ends_with('_') {
            name.push(c);
        }
    }
    if name.is_empty() { "value".to_owned() } else { name }
}

/// The rows of a table.
pub fn rows(table: &Table) -> Vec<Value> {
    let row = |cells: &Vec<crate::block::Cell>| {
        let members = table.heads.iter().zip(cells);
        Value::Object(members.map(|((head, _), cell)| (name(head), cell.json())).collect())
    };
    table.rows.iter().map(row).collect()
}

/// What a line says.
pub fn words(line: &Line) -> Value {
    let mut members = Map::new();
    for (name, cell) in &line.parts {
        if let Some(name) = name {
            put(&mut members, name, cell.json());
        }
    }
    if members.is_empty() { Value::String(line.text()) } else { Value::Object(members) }
}

/// A name that is there twice becomes a list.
fn put(object: &mut Map<String, Value>, name: &str, value: Value) {
    match object.get_mut(name) {
        None => {
            object.insert(name.to_owned(), value);
        }
        Some(Value::Array(list)) => list.push(value),
        Some(one) => *one = Value::Array(vec![one.take(), value]),
    }
}

fn list<'a>(object: &'a mut Map<String, Value>, name: &str) -> &'a mut Vec<Value> {
    let entry = object.entry(name.to_owned()).or_insert_with(|| Value::Array(Vec::new()));
    if !entry.is_array() {
        *entry = Value::Array(vec![entry.take()]);
    }
    match entry {
        Value::Array(list) => list,
        // It has just been made one.
        _ => unreachable!(),
    }
}
