//! Two values as programs read them, compared: objects by their members, lists by what names their rows.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which it is.
    pub kind: Kind,
    /// Where: `descriptors[fd=3].what.file.offset`.
    pub path: String,
    /// What was there; null if nothing.
    pub before: Value,
    /// What is there.
    pub after: Value,
}

/// What happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
    /// It is the same, at another place.
    Moved,
}

/// Every difference.
pub fn compare(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    at("", before, after, &mut found);
    found
}

fn at(path: &str, before: &Value, after: &Value, found: &mut Vec<Change>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(a), Value::Object(b)) => members(path, a, b, found),
        (Value::Array(a), Value::Array(b)) => lists(path, a, b, found),
        (Value::Null, _) => push(Kind::Added, path, before, after, found),
        (_, Value::Null) => push(Kind::Removed, path, before, after, found),
        _ => push(Kind::Changed, path, before, after, found),
    }
}

fn push(kind: Kind, path: &str, before: &Value, after: &Value, found: &mut Vec<Change>) {
    // What is new or gone as a whole is told by its parts where it has rows.
    match (kind, before, after) {
        (Kind::Added, _, Value::Array(all)) => lists(path, &[], all, found),
        (Kind::Removed, Value::Array(all), _) => lists(path, all, &[], found),
        _ => found.push(Change { kind, path: path.to_owned(), before: before.clone(), after: after.clone() }),
    }
}

fn members(path: &str, a: &Map<String, Value>, b: &Map<String, Value>, found: &mut Vec<Change>) {
    let dot = if path.is_empty() { "" } else { "." };
    let names = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
    for name in names {
        let (x, y) = (a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null));
        at(&format!("{path}{dot}{name}"), x, y, found);
    }
}

/// The member that tells rows apart, if there is one: the first, where no two rows have the same.
fn key(rows: &[Value]) -> Option<String> {
    let first = rows.first()?.as_object()?.keys().next()?.clone();
    let mut seen = BTreeSet::new();
    rows.iter().all(|row| row.get(&first).is_some_and(|v| seen.insert(v.to_string()))).then_some(first)
}

fn lists(path: &str, a: &[Value], b: &[Value], found: &mut Vec<Change>) {
    let key_of = if a.is_empty() { key(b) } else { key(a) };
    if let Some(name) = key_of.filter(|k| a.is_empty() || b.is_empty() || key(b).as_ref() == Some(k)) {
        let of = |row: &Value| {
            row.get(&name).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).unwrap_or_default()
        };
        let theirs: std::collections::HashMap<String, &Value> = b.iter().map(|row| (of(row), row)).collect();
        let ours: std::collections::HashSet<String> = a.iter().map(of).collect();
        for row in a {
            let id = of(row);
            let path = format!("{path}[{name}={id}]");
            match theirs.get(&id) {
                Some(other) => at(&path, row, other, found),
                None => found.push(Change { kind: Kind::Removed, path, before: row.clone(), after: Value::Null }),
            }
        }
        for row in b.iter().filter(|row| !ours.contains(&of(row))) {
            let path = format!("{path}[{name}={}]", of(row));
            found.push(Change { kind: Kind::Added, path, before: Value::Null, after: row.clone() });
        }
        return;
    }
    // Without a name, what is in one of them and not in the other.
    let mut theirs: std::collections::HashMap<String, Vec<usize>> = std::collections::HashMap::new();
    for (i, row) in b.iter().enumerate().rev() {
        theirs.entry(row.to_string()).or_default().push(i);
    }
    for row in a {
        match theirs.get_mut(&row.to_string()).and_then(Vec::pop) {
            Some(_) => {}
            None => found.push(Change {
                kind: Kind::Removed,
                path: path.to_owned(),
                before: row.clone(),
                after: Value::Null,
            }),
        }
    }
    let mut left: Vec<usize> = theirs.into_values().flatten().collect();
    left.sort_unstable();
    for row in left.into_iter().map(|i| &b[i]) {
        found.push(Change { kind: Kind::Added, path: path.to_owned(), before: Value::Null, after: row.clone() });
    }
}

/// Of two lists of names (flags, signals) those that were added and that are gone: `+CF -ZF`.
pub fn words(before: &str, after: &str) -> Option<String> {
    let split = |text: &str| -> Option<BTreeSet<String>> {
        let all: BTreeSet<String> =
            text.split([' ', '|']).filter(|w| !w.is_empty() && *w != "-").map(str::to_owned).collect();
        let name = |w: &String| {
            w.len() <= 20 && w.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "_=".contains(c))
        };
        all.iter().all(name).then_some(all)
    };
    let (a, b) = (split(before)?, split(after)?);
    if a.len() + b.len() < 2 || (a.is_disjoint(&b) && !a.is_empty() && !b.is_empty()) {
        return None;
    }
    let signed = |sign: char, set: Vec<&String>| set.into_iter().map(move |w| format!("{sign}{w}")).collect::<Vec<_>>();
    Some([signed('+', b.difference(&a).collect()), signed('-', a.difference(&b).collect())].concat().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(before: &Value, after: &Value) -> Vec<String> {
        compare(before, after).iter().map(|c| format!("{:?} {} {} {}", c.kind, c.path, c.before, c.after)).collect()
    }

    #[test]
    fn rows_are_told_apart_by_what_names_them() {
        let a = json!([{"fd": 1, "what": "a"}, {"fd": 2, "what": "b"}, {"fd": 3, "what": "c"}]);
        let b = json!([{"fd": 1, "what": "a"}, {"fd": 3, "what": "d"}, {"fd": 4, "what": "e"}]);
        let expected = [
            r#"Removed [fd=2] {"fd":2,"what":"b"} null"#,
            r#"Changed [fd=3].what "c" "d""#,
            r#"Added [fd=4] null {"fd":4,"what":"e"}"#,
        ];
        assert_eq!(said(&a, &b), expected);
        assert_eq!(said(&a, &a), [""; 0]);
    }

    #[test]
    fn flags_bit_by_bit() {
        assert_eq!(words("PF ZF IF", "CF PF IF").as_deref(), Some("+CF -ZF"));
        assert_eq!(words("-", "HUP INT").as_deref(), Some("+HUP +INT"));
        assert_eq!(words("libc.so.6+0x1", "libc.so.6+0x2"), None);
    }
}
