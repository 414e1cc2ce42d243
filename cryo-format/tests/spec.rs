//! The pages of spec/ against the code, where a program can compare them. (The rules are compared in rules.rs.)

#![allow(clippy::unwrap_used, clippy::panic)] // also outside of test functions

mod common;

use std::path::{Path, PathBuf};

use common::Random;
use common::chance::{Chance, every_section, generate};
use cryo_format::header::{EM_X86_64, Header};
use cryo_format::limits;
use cryo_format::prim::Raw;
use cryo_format::section::{AnySection, Info, OLD_SECTIONS, Scope};
use cryo_format::write::Writer;
use cryo_format::{Profile, chunk::ChunkFlags};

fn page(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}: write it", path.display()))
}

/// The page of a section; those of older versions have a folder for each version.
fn section_page(info: &Info) -> String {
    let old = OLD_SECTIONS.iter().any(|old| (old.kind, old.version) == (info.kind, info.version));
    let folder = if old { format!("v{}/", info.version) } else { String::new() };
    format!("sections/{folder}{}.md", info.name)
}

/// The cells of a table's row.
fn cells(line: &str) -> Option<Vec<&str>> {
    Some(line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect())
}

#[test]
fn the_registry() {
    let owner = |scope| match scope {
        Scope::Image => "image",
        Scope::Process => "process",
        Scope::Thread => "thread",
        Scope::ProcessOrThread => "process or thread",
        Scope::Description => "description",
        Scope::Memory => "process or object",
    };
    let written = page("06-registry.md");
    for info in every_section() {
        let flags = if info.flags == ChunkFlags::CRITICAL { "critical" } else { "ancillary, safe to copy" };
        let kind = String::from_utf8(info.kind.0.to_vec()).unwrap();
        let row = format!("| `{kind}` | {} | .{} | {} | {flags} | ", info.version, info.profile, owner(info.scope));
        let link = format!("]({}) |", section_page(info));
        assert!(
            written.lines().any(|l| l.starts_with(&row) && l.ends_with(&link)),
            "06-registry.md lacks: {row}... {link}"
        );
    }
    let rows = written.lines().filter(|l| l.starts_with("| `")).count();
    assert_eq!(rows, every_section().count() + 4, "a row for each section, and the four structural kinds");
}

/// Names of all fields in a JSON value, however deep.
fn fields(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                found.push(name.clone());
                fields(value, found);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|v| fields(v, found)),
        _ => {}
    }
}

/// Every field has a row in a table of the section's page.
#[test]
fn the_sections_fields() {
    let mut random = Random::new();
    for info in every_section() {
        let written = page(&section_page(info));
        let rows: Vec<_> =
            written.lines().filter_map(cells).filter_map(|c| c.get(3).map(|s| (*s).to_owned())).collect();
        for _ in 0..100 {
            let words: Vec<u64> = (0..200).map(|_| random.word()).collect();
            let section = generate(info, &mut Chance::new(&words));
            let mut names = Vec::new();
            fields(&serde_json::to_value(&section).unwrap(), &mut names);
            for name in names {
                assert!(rows.contains(&format!("`{name}`")), "spec/{} has no row for `{name}`", section_page(info));
            }
        }
    }
}

/// Offsets add up, and the payload's table is as long as the shortest payload.
#[test]
fn the_sections_layouts() {
    for info in every_section() {
        let name = section_page(info);
        let written = page(&name);
        let mut tables: Vec<(String, u64)> = Vec::new();
        let (mut at, mut variable) = (0, false);
        for line in written.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                tables.push((title.to_owned(), 0));
                (at, variable) = (0, false);
            }
            let Some(row) = cells(line).filter(|c| c.len() >= 4 && c[3].starts_with('`')) else { continue };
            let offset = match (variable, at) {
                (false, _) => at.to_string(),
                (true, 0) => "then".to_owned(),
                (true, _) => format!("+{at}"),
            };
            assert_eq!(row[0], offset, "{name}: offset in: {line}");
            let fixed: u64 = row[1].split(' ').next().unwrap().parse().unwrap();
            at += fixed;
            if row[1].contains('+') {
                (at, variable) = (0, true);
            }
            tables.last_mut().unwrap().1 += fixed;
        }
        let title = |t: &str| t == "Payload" || t.starts_with(&format!("`{}`", info.kind));
        let (_, written) = tables.iter().find(|(t, _)| title(t)).unwrap_or_else(|| panic!("{name}: no payload"));
        assert_eq!(*written, shortest(info), "{name}: length of the payload");
    }
}

/// Length of the shortest payload: every list and byte string empty.
fn shortest(info: &Info) -> u64 {
    // What has no valid section of zeros still parses when the rules of its values are not asked.
    let mut bytes = Vec::new();
    generate(info, &mut Chance::new(&[])).append_payload(&mut bytes);
    let mended = match info.name {
        "xstate" => cryo_format::section::xstate::LEGACY_LEN as u64,
        _ => 0,
    };
    assert!(AnySection::parse(info.kind, info.version, &bytes).is_ok());
    bytes.len() as u64 - mended
}

#[test]
fn the_smallest_file() {
    let set = Raw(std::array::from_fn(|i| i as u8));
    let header = Header::new(Profile::Frost, EM_X86_64, 12, set);
    let bytes = Writer::new(Vec::new(), &header).unwrap().finish().unwrap().0;
    // As in the page: offset, bytes, meaning.
    let mut written = Vec::new();
    for line in page("02-overview.md").lines() {
        let Some((offset, rest)) = line.split_once("  ").filter(|(o, _)| o.len() == 4) else { continue };
        let Ok(offset) = usize::from_str_radix(offset, 16) else { continue };
        let hex = rest.split("  ").next().unwrap();
        assert_eq!(offset, written.len(), "{line}");
        written.extend(hex.split_whitespace().map(|b| u8::from_str_radix(b, 16).unwrap()));
    }
    assert_eq!(cryo_format::prim::hex(&written), cryo_format::prim::hex(&bytes));
}

#[test]
fn the_limits() {
    let written = page("14-limits.md");
    for (constant, value) in [
        ("`MAX_METADATA`", format!("{} MiB", limits::MAX_METADATA >> 20)),
        ("`MAX_DATA`", format!("{} MiB", limits::MAX_DATA >> 20)),
        ("`MAX_PAGE_SHIFT`", format!("{} to {}", limits::MIN_PAGE_SHIFT, limits::MAX_PAGE_SHIFT)),
        ("`CHUNK_ALIGN`", limits::CHUNK_ALIGN.to_string()),
        ("`INDEX_BATCH`", limits::INDEX_BATCH.to_string()),
    ] {
        let row = written.lines().filter_map(cells).find(|c| c.len() == 4 && c[2].contains(constant));
        assert_eq!(row.unwrap_or_else(|| panic!("14-limits.md lacks {constant}"))[1], value, "{constant}");
    }
}
