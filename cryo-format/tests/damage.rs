//! Damaged files: every truncation, and flipped bits, are named and never pass as good.

#![allow(clippy::unwrap_used)] // also outside of test functions

mod common;

use common::{Files, Random, small_set};
use cryo_format::image::Image;
use cryo_format::image::ReadAt;
use cryo_format::read::Stream;
use cryo_format::verify::{Finding, verify, verify_together};
use cryo_format::{Kind, Profile, Result};

/// Reads all of a file in one pass.
fn stream(bytes: &[u8]) -> Result<()> {
    let mut stream = Stream::named(bytes, "img")?;
    while let Some(mut chunk) = stream.next()? {
        chunk.any()?;
        if chunk.kind() == Kind::DATA {
            chunk.data(&mut Vec::new())?;
        }
    }
    Ok(())
}

/// Everything that can be reached through the index.
fn contents(bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let image = Image::new(bytes.to_vec(), "img")?;
    image.chunks().iter().map(|e| image.any(e).and_then(|_| image.payload(e))).collect()
}

fn found(bytes: &[u8]) -> Vec<Finding> {
    verify(&bytes.to_vec(), "img").unwrap()
}

#[test]
fn every_truncation_is_named() {
    let set = small_set();
    for profile in Profile::ALL {
        let whole = set.get(profile);
        // Inside of pages one length is like the next: take every one around chunk borders, some of the rest.
        for len in (0..whole.len()).filter(|n| whole.len() < 4096 || n % 8 < 2 || n % 4096 < 300) {
            let bytes = &whole[..len];
            let message = stream(bytes).unwrap_err().to_string();
            assert!(message.starts_with("img: "), "{message}");
            assert!(message.contains("truncated") || len == 0 && message.contains("empty"), "{len}: {message}");
            assert!(Image::new(bytes.to_vec(), "img").is_err(), "{len} bytes were opened");
            let found = found(bytes);
            assert!(found.iter().any(|f| f.rule.0 == 19 && f.offset <= len as u64), "{len}: {found:?}");
        }
    }
}

fn assert_flip_is_seen(whole: &[u8], original: &[Vec<u8>], flip: &dyn Fn(&mut [u8]), what: &str) {
    let mut bytes = whole.to_vec();
    flip(&mut bytes);
    assert!(stream(&bytes).is_err(), "{what}: read in one pass");
    assert!(!found(&bytes).is_empty(), "{what}: verified");
    // Through the index, parts that are never looked at may be damaged (padding), but nothing else may come out.
    if let Ok(read) = contents(&bytes) {
        assert!(read == original, "{what}: other contents through the index");
    }
}

#[test]
fn every_flipped_bit_of_the_small_files_is_seen() {
    let set = small_set();
    for profile in [Profile::Frore, Profile::Frost] {
        let whole = set.get(profile);
        let original = contents(whole).unwrap();
        for bit in 0..whole.len() * 8 {
            assert_flip_is_seen(whole, &original, &|b| b[bit / 8] ^= 1 << (bit % 8), &format!(".{profile}, bit {bit}"));
        }
    }
}

/// What a thaw from files reads: all but the pages by [`Image::check`], and the pages.
#[test]
fn a_file_read_at_random_is_as_sure_as_one_read_from_end_to_end() {
    let whole = small_set().freeze;
    let read = |bytes: &[u8]| -> Result<()> {
        let image = Image::new(bytes.to_vec(), "img")?;
        image.check()?;
        image.chunks().iter().filter(|e| e.kind == Kind::DATA).try_for_each(|e| image.payload(e).map(drop))
    };
    read(&whole).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(read(&bytes).is_err(), "byte {at:#x}");
    }
}

#[test]
fn random_damage_is_seen() {
    let mut chance = Random::new();
    let Files { freeze, frost, .. } = small_set();
    for whole in [&freeze, &frost] {
        let original = contents(whole).unwrap();
        for round in 0..3000 {
            let flips: Vec<_> =
                (0..=chance.below(4)).map(|_| (chance.below(whole.len()), 1 + chance.below(255) as u8)).collect();
            let flip = |b: &mut [u8]| flips.iter().for_each(|(at, bits)| b[*at] ^= bits);
            let mut changed = whole.clone();
            flip(&mut changed);
            if changed != *whole {
                assert_flip_is_seen(whole, &original, &flip, &format!("round {round}: {flips:x?}"));
            }
        }
        // Pieces cut out, doubled, or moved.
        for round in 0..1000 {
            let (a, b) = (chance.below(whole.len()), chance.below(whole.len()));
            let (a, b) = (a.min(b), a.max(b) + 1);
            let changed = match chance.below(3) {
                0 => [&whole[..a], &whole[b..]].concat(),
                1 => [&whole[..b], &whole[a..]].concat(),
                _ => [&whole[..a], &whole[b..], &whole[a..b]].concat(),
            };
            if changed != *whole {
                assert!(!found(&changed).is_empty(), "round {round}: {a}..{b} verified");
            }
        }
    }
}

#[test]
fn a_lost_index_is_made_anew() {
    let whole = small_set().freeze;
    let original = Image::new(whole.clone(), "img").unwrap();
    let footer = whole.len() - 32;
    let index = u64::from_le_bytes(whole[footer + 8..footer + 16].try_into().unwrap()) as usize;
    let mut without_footer = whole.clone();
    without_footer.truncate(footer + 3);
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    for bytes in [without_footer, flipped(footer), flipped(footer + 9), flipped(index + 48 + 20)] {
        assert!(Image::new(bytes.clone(), "img").is_err());
        let scanned = Image::scan(bytes, "img").unwrap();
        assert_eq!(scanned.chunks(), original.chunks());
        assert_eq!(scanned.end(), original.end());
    }
    // Only what is redundant may be lost.
    for at in [original.chunks()[1].offset as usize + 50, original.chunks()[5].offset as usize + 1000] {
        assert!(Image::scan(flipped(at), "img").is_err());
    }
}

/// A file of which the disk does not give what is behind `good` bytes.
struct Unreadable {
    bytes: Vec<u8>,
    good: usize,
}

impl ReadAt for Unreadable {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        if offset as usize + buf.len() > self.good {
            return Err(std::io::Error::other("the disk is broken"));
        }
        self.bytes.read_exact_at(buf, offset)
    }

    fn size(&self) -> std::io::Result<u64> {
        self.bytes.size()
    }
}

#[test]
fn what_cannot_be_read_is_not_a_lost_footer() {
    let bytes = small_set().freeze;
    for lost in [8, 32] {
        let good = bytes.len() - lost;
        let error = Image::scan(Unreadable { bytes: bytes.clone(), good }, "img").err().map(|e| e.to_string());
        assert!(error.as_ref().is_some_and(|e| e.contains("the disk is broken")), "{error:?}");
    }
}

#[test]
fn files_of_different_sets_do_not_join() {
    let ours = small_set();
    // Same ids, another content: only the roots tell.
    let mut frost = Vec::new();
    {
        use cryo_format::section::origin::Origin;
        let mut w = cryo_format::write::Writer::new(&mut frost, &common::header(Profile::Frost)).unwrap();
        w.section(0, &Origin::default()).unwrap();
        w.finish().unwrap();
    }
    let found = verify_together(&[(&ours.frore, "a.frore"), (&frost, "b.frost"), (&ours.freeze, "a.freeze")]).unwrap();
    let finding = found.iter().find(|f| f.rule.0 == 71).unwrap();
    assert!(
        finding.file == "b.frost" && finding.message.contains("does not belong to a.freeze"),
        "{}",
        finding.message
    );
    let open = |bytes: &Vec<u8>, name: &str| Image::new(bytes.clone(), name).unwrap();
    let joined = cryo_format::set::Set::new(
        open(&ours.frore, "a.frore"),
        open(&frost, "b.frost"),
        open(&ours.freeze, "a.freeze"),
    );
    let message = joined.err().unwrap().to_string();
    assert!(message.starts_with("b.frost does not belong to a.freeze: its root is"), "{message}");
}
