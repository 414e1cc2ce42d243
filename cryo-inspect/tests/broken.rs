//! Images that are damaged, foreign, or made to do harm.

#![allow(clippy::unwrap_used)] // clippy knows only functions marked as tests

mod common;

use common::{inspect, set, stdout};
use cryo_format::chunk::ChunkFlags;
use cryo_format::read::Stream;
use cryo_format::write::Writer;
use cryo_inspect::dump::dump;
use cryo_inspect::ice::Ice;

#[test]
fn a_cut_file_is_shown_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let mut frost = set().0[1].clone();
    frost.truncate(frost.len() - 200);
    std::fs::write(dir.path().join("cut.frost"), &frost).unwrap();
    for (args, stdin) in [(["dump", "cut.frost"], &b""[..]), (["dump", "-"], &frost)] {
        let out = inspect(dir.path(), &args, stdin);
        let text = stdout(&out, 1);
        assert!(text.contains("command        example --name 'two words'"), "{text}");
        let words = String::from_utf8(out.stderr).unwrap();
        assert!(words.contains("truncated at offset 0x") && words.lines().count() == 1, "{words}");
    }
}

#[test]
fn a_broken_section_is_named_and_the_rest_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let mut frost = set().0[1].clone();
    let at = frost.windows(4).position(|w| w == b"SIGA").unwrap();
    frost[at + 48] ^= 0xff;
    std::fs::write(dir.path().join("bad.frost"), &frost).unwrap();
    let out = inspect(dir.path(), &["dump", "bad.frost"], b"");
    let text = stdout(&out, 1);
    assert!(text.contains("command        example") && text.contains("payload checksum is wrong"), "{text}");
    assert!(text.contains("4242"), "what stands behind it is shown too: {text}");
    let words = String::from_utf8(out.stderr).unwrap();
    assert!(words.starts_with(&format!("cryo-inspect: bad.frost: chunk SIGA at offset {at:#x}")), "{words}");
}

#[test]
fn files_of_different_sets() {
    let dir = tempfile::tempdir().unwrap();
    let files = set();
    files.store(&dir.path().join("img"));
    let mut other = Writer::new(Vec::new(), Stream::new(&files.0[1][..]).unwrap().header()).unwrap();
    other.section(0, &cryo_format::section::notes::Notes::default()).unwrap();
    std::fs::write(dir.path().join("img.frost"), other.finish().unwrap().0).unwrap();
    let out = inspect(dir.path(), &["dump", "img.freeze"], b"");
    stdout(&out, 1);
    let words = String::from_utf8(out.stderr).unwrap();
    assert!(words.contains("img.frost does not belong to img.freeze"), "{words}");
    let text = stdout(&inspect(dir.path(), &["verify", "img"], b""), 1);
    assert!(text.contains(": rule 71: "), "{text}");
}

#[test]
fn not_an_image() {
    let dir = tempfile::tempdir().unwrap();
    for command in [&["dump", "-"][..], &["dump", "--format", "json", "-"]] {
        let out = inspect(dir.path(), command, b"#!/bin/sh\n");
        assert_eq!(stdout(&out, 1), "");
        let words = String::from_utf8(out.stderr).unwrap();
        assert!(words.contains("not a Cryo file") && words.lines().count() == 1, "{words}");
    }
    assert!(stdout(&inspect(dir.path(), &["verify", "-"], b"#!/bin/sh\n"), 1).starts_with("-: offset 0x0: rule 1: "));
    assert_eq!(stdout(&inspect(dir.path(), &["dump", "nothing.freeze"], b""), 2), "");
    assert_eq!(stdout(&inspect(dir.path(), &["verify", "nothing"], b""), 2), "");
}

/// A table that names itself as one of its descriptions, and extents over all there is.
#[test]
fn a_section_that_refers_to_itself() {
    use cryo_format::prim::Addr;
    use cryo_format::section::descriptors::{Descriptor, Descriptors};
    use cryo_format::section::extents::{Content, Extent, Extents};
    let [frore, frost, freeze] = &set().0;
    let header = |file: &Vec<u8>| Stream::new(&file[..]).unwrap().header().clone();
    let mut w = Writer::new(Vec::new(), &header(frost)).unwrap();
    let descriptors = Descriptors { descriptors: vec![Descriptor { fd: 0, flags: 0, description: 1 }].into() };
    w.section(1, &descriptors).unwrap();
    let frost = w.finish().unwrap().0;
    let mut w = Writer::new(Vec::new(), &header(freeze)).unwrap();
    let extent = |vaddr, pages| Extent { vaddr: Addr(vaddr), pages, content: Content::ZERO, ..Extent::default() };
    let extents = vec![extent(0, 1 << 51), extent(1 << 63, (1 << 51) - 1)].into();
    w.section(1, &Extents { extents, ..Extents::default() }).unwrap();
    let freeze = w.finish().unwrap().0;
    let dir = tempfile::tempdir().unwrap();
    let text = stdout(&inspect(dir.path(), &["dump", "-"], &[frore.clone(), frost, freeze].concat()), 0);
    assert!(text.contains("description 1 (not in the image)") && text.contains("pages lie in no segment"), "{text}");
}

/// xorshift: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// Payloads that were changed at random, under checksums that are right: the printers see every value that the rules let through.
#[test]
fn hostile_payloads_are_printed_in_bounds() {
    let seed = std::env::var("CRYO_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0x9e37_79b9_7f4a_7c15);
    println!("CRYO_SEED={seed}");
    let mut random = Random(seed);
    let files = set();
    for round in 0..400 {
        let mut piped = Vec::new();
        for file in &files.0 {
            piped.extend(mutated(file, &mut random));
        }
        let mut text = Vec::new();
        let ice = Ice::read(&piped[..]).unwrap();
        dump(&ice, &mut text).unwrap();
        assert!(text.len() < 1 << 20, "round {round}: {} bytes", text.len());
        // Our own styles, and no other escape sequence.
        let own = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[33m"];
        let bare = own.iter().fold(String::from_utf8_lossy(&text).into_owned(), |text, style| text.replace(style, ""));
        assert!(!bare.contains(|c: char| c.is_control() && c != '\n'), "round {round}: {bare:?}");
    }
}

/// The same chunks with a few bytes changed, and a few owners.
fn mutated(file: &[u8], random: &mut Random) -> Vec<u8> {
    let interesting = [0, 1, 2, 0x1b, 0x7f, 0x80, 0xff];
    let mut stream = Stream::new(file).unwrap();
    let mut w = Writer::new(Vec::new(), stream.header()).unwrap();
    while let Some(chunk) = stream.next().unwrap() {
        if chunk.kind().is_structural() {
            continue;
        }
        let (mut owner, flags) = (chunk.owner(), ChunkFlags(chunk.header().flags.0));
        if random.below(8) == 0 {
            owner = [0, 1, 2, 3, 10, 20, u64::MAX][random.below(7)];
        }
        let mut payload = chunk.payload().to_vec();
        for _ in 0..random.below(4) {
            let (at, run) = (random.below(payload.len()), 1 + random.below(9));
            let byte = interesting[random.below(interesting.len())];
            payload.iter_mut().skip(at).take(run).for_each(|b| *b = byte);
        }
        w.opaque(chunk.kind(), chunk.header().version, flags, owner, &payload).unwrap();
    }
    w.finish().unwrap().0
}

/// A child that inherits terabytes in which the parent has nothing: they stay zero, and nobody reads them.
#[test]
fn inherited_zeros_are_zero() {
    use cryo_format::prim::Addr;
    use cryo_format::section::forked::{Forked, ForkedRange};
    use cryo_format::section::vmas::{Vma, Vmas};
    use cryo_inspect::space::{Place, Space};
    let [frore, _, freeze] = &set().0;
    let header = |file: &Vec<u8>| Stream::new(&file[..]).unwrap().header().clone();
    let (start, end) = (Addr(0x1000), Addr(1 << 46));
    let mut w = Writer::new(Vec::new(), &header(frore)).unwrap();
    for owner in [1, 2] {
        w.section(owner, &Vmas { vmas: vec![Vma { start, end, prot: 3, ..Vma::default() }].into() }).unwrap();
    }
    let frore = w.finish().unwrap().0;
    let mut w = Writer::new(Vec::new(), &header(freeze)).unwrap();
    w.section(2, &Forked { parent: 1, ranges: vec![ForkedRange { start, end }].into() }).unwrap();
    let freeze = w.finish().unwrap().0;
    let ice = Ice::read(&[frore, freeze].concat()[..]).unwrap();
    let space = Space::of(&ice, 2).unwrap();
    let runs: Vec<_> = space.runs().iter().map(|r| (r.start, r.end, r.place)).collect();
    assert_eq!(runs, [(start.0, end.0, Place::Zero)]);
}

/// What two descriptors share is said once: an epoll of thousands of watches behind thousands of descriptors would fill the memory.
#[test]
fn a_shared_description_is_described_once() {
    use cryo_format::section::descriptors::{Descriptor, Descriptors};
    let frost = &set().0[1];
    let mut stream = Stream::new(&frost[..]).unwrap();
    let mut w = Writer::new(Vec::new(), stream.header()).unwrap();
    let mut description = None;
    while let Some(chunk) = stream.next().unwrap() {
        if chunk.kind().is_structural() {
            continue;
        }
        let (owner, header) = (chunk.owner(), chunk.header());
        if description.is_none() && chunk.kind().to_string() == "FDTB" {
            // Count, then fd and flags of the first, then its description.
            let id = u64::from_le_bytes(chunk.payload()[16..24].try_into().unwrap());
            description = Some(id);
            let both = [3, 4].map(|fd| Descriptor { fd, flags: 0, description: id });
            w.section(owner, &Descriptors { descriptors: both.to_vec().into() }).unwrap();
        } else {
            w.opaque(chunk.kind(), header.version, ChunkFlags(header.flags.0), owner, chunk.payload()).unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let text = stdout(&inspect(dir.path(), &["fds", "-", "--format", "jsonl"], &w.finish().unwrap().0), 0);
    assert!(text.contains(r#""fd":4,"#) && text.contains(r#""what":{"shared_with":3}"#), "{text}");
}

/// What a family shares is described with the first of those that are looked at.
#[test]
fn what_processes_share_is_described_once() {
    use cryo_format::section::descriptors::{Descriptor, Descriptors};
    use cryo_format::section::eventfd::Eventfd;
    use cryo_format::section::process::Process;
    let frost = &set().0[1];
    let stream = Stream::new(&frost[..]).unwrap();
    let mut w = Writer::new(Vec::new(), stream.header()).unwrap();
    for (owner, pid) in [(1, 70), (2, 71)] {
        w.section(owner, &Process { pid, ..Process::default() }).unwrap();
        let fd = Descriptor { fd: 5, flags: 0, description: 9 };
        w.section(owner, &Descriptors { descriptors: vec![fd].into() }).unwrap();
    }
    w.section(9, &Eventfd { count: 12345, ..Eventfd::default() }).unwrap();
    let file = w.finish().unwrap().0;
    let dir = tempfile::tempdir().unwrap();
    let text = stdout(&inspect(dir.path(), &["dump", "-"], &file), 0);
    assert_eq!(text.matches("12345").count(), 1, "{text}");
    assert!(text.contains("shared with 5 of process 70"), "{text}");
    let text = stdout(&inspect(dir.path(), &["dump", "-", "--pid", "71"], &file), 0);
    assert!(text.contains("12345") && !text.contains("shared with"), "{text}");
}
