//! One file, or set, that breaks each rule, made without the crate's own layouts; and the spec's list of rules against the crate's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // also outside of test functions

mod common {
    pub mod synth;
    pub mod vectors;
}

use common::synth::{SAFE_TO_COPY, b, chunk, good_set, zstd_frame};
use common::vectors::{break_rule, variants};
use cryo_format::Kind;
use cryo_format::image::Image;
use cryo_format::read::Stream;
use cryo_format::rules::Rule;
use cryo_format::verify::{Finding, verify_together};

const NAMES: [&str; 3] = ["img.frore", "img.frost", "img.freeze"];

fn findings(files: &[Vec<u8>; 3]) -> Vec<Finding> {
    let named: Vec<_> = files.iter().zip(NAMES).collect();
    verify_together(&named).unwrap()
}

/// Reads a file from end to end, every section too.
fn strict(bytes: &[u8]) -> cryo_format::Result<()> {
    let mut stream = Stream::new(bytes)?;
    while let Some(chunk) = stream.next()? {
        chunk.any()?;
    }
    Ok(())
}

#[test]
fn the_base_of_the_vectors_is_good() {
    let files = good_set().build();
    assert_eq!(findings(&files), []);
    for bytes in files {
        strict(&bytes).unwrap();
        Image::new(bytes, "img").unwrap();
    }
}

#[test]
fn compressed_pages_are_read_by_both_readers() {
    let mut set = good_set();
    set.compress(zstd_frame(6, 8192, 8192));
    // It need not stand at a page boundary.
    set.freeze.misalign = 8;
    let files = set.build();
    assert_eq!(findings(&files), []);
    let pages = vec![6; 8192];
    let mut stream = Stream::new(files[2].as_slice()).unwrap();
    let mut read = Vec::new();
    while let Some(mut chunk) = stream.next().unwrap() {
        if chunk.kind() == Kind::DATA {
            assert!(chunk.header().stored < 16);
            chunk.data(&mut read).unwrap();
        }
    }
    assert_eq!(read, pages);
    let image = Image::new(files[2].clone(), "img").unwrap();
    let mut page = vec![0; 4096];
    assert_eq!(image.read_memory(1, 0x10000, &mut page).unwrap(), 4096);
    assert_eq!(page, pages[..4096]);
}

#[test]
fn every_rule_is_seen_when_it_is_broken() {
    for rule in Rule::ALL {
        let mut set = good_set();
        break_rule(*rule, &mut set);
        let found = findings(&set.build());
        let hit = found.iter().find(|f| f.rule == *rule);
        let hit = hit.unwrap_or_else(|| panic!("{rule} ({}) was broken, and found was {found:#?}", rule.text()));
        // File, offset and rule have places of their own.
        assert!(!hit.message.contains(&rule.to_string()) && !hit.message.contains("offset 0x"), "{}", hit.message);
        assert!(NAMES.contains(&hit.file.as_str()));
    }
}

#[test]
fn readers_refuse_what_they_can_see() {
    // These need several sections, the hash of the pages, or what lies behind the file.
    let verify_only = |r: Rule| r.0 >= 51 && r.0 <= 59 || r.0 >= 70 || matches!(r.0, 23 | 24 | 27 | 46 | 48 | 65);
    for rule in Rule::ALL.iter().filter(|r| !verify_only(**r)) {
        let mut set = good_set();
        break_rule(*rule, &mut set);
        let errors: Vec<_> = set.build().iter().filter_map(|bytes| strict(bytes).err()).collect();
        let named = errors.iter().any(|e| e.rule() == Some(*rule));
        assert!(named, "{rule} was broken, and the reader said {errors:?}");
    }
}

#[test]
fn variants_of_broken_rules() {
    for (i, (rule, vector)) in variants().iter().enumerate() {
        let mut set = good_set();
        vector(&mut set);
        let found = findings(&set.build());
        assert!(found.iter().any(|f| f.rule == *rule), "variant {i}: {rule} was broken, and found was {found:#?}");
    }
}

#[test]
fn unknown_ancillary_chunks_are_passed_over() {
    let mut set = good_set();
    set.frost.chunks.push(chunk(b"hm\x01?", SAFE_TO_COPY, 3, b().u64(1)));
    set.frost.chunks.push(chunk(b"HUH ", 0, 3, b().raw(b"odd")));
    let files = set.build();
    assert_eq!(findings(&files), []);
    let image = Image::new(files[1].clone(), "img").unwrap();
    assert!(image.chunks().iter().any(|e| e.kind.to_string() == "hm\\x01?"));
}

#[test]
fn messages_name_the_place() {
    let mut set = good_set();
    set.frore.chunk(b"MM  ").crc = 1;
    let bytes = set.build()[0].clone();
    let error = |r: cryo_format::Result<()>| r.unwrap_err().to_string();
    let read = || -> cryo_format::Result<()> {
        let mut stream = Stream::named(bytes.as_slice(), "img.frore")?;
        while stream.next()?.is_some() {}
        Ok(())
    };
    let offset = bytes.windows(4).position(|w| w == b"MM  ").unwrap();
    assert_eq!(
        error(read()),
        format!("img.frore: chunk MM at offset {offset:#x}: payload checksum is wrong (rule 12)")
    );
    let short = &good_set().build()[2][..0x1234];
    let error = Stream::named(short, "img.freeze").and_then(|mut s| {
        loop {
            if s.next()?.is_none() {
                return Ok(());
            }
        }
    });
    let message = error.unwrap_err().to_string();
    assert_eq!(message, "img.freeze: truncated at offset 0x1234 inside chunk DATA (no END chunk)");
}

#[test]
fn the_spec_lists_the_same_rules() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/15-rules.md");
    let spec = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| -> Option<(u16, String)> {
        let mut cells = line.trim().trim_matches('|').split('|').map(str::trim);
        Some((cells.next()?.parse().ok()?, cells.next()?.to_owned()))
    };
    let written: Vec<_> = spec.lines().filter_map(row).collect();
    let coded: Vec<_> = Rule::ALL.iter().map(|r| (r.0, r.text().to_owned())).collect();
    assert_eq!(written, coded);
}
