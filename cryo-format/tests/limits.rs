//! Limits, and what reading costs.

#![allow(clippy::unwrap_used)] // also outside of test functions

mod common {
    pub mod synth;
}

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use common::synth::{CRITICAL, b, chunk, file};
use cryo_format::chunk::{ChunkFlags, ChunkHeader};
use cryo_format::header::{EM_X86_64, Header};
use cryo_format::image::{Image, ReadAt};
use cryo_format::index::Footer;
use cryo_format::limits::{INDEX_BATCH, MAX_DATA, MAX_FINDINGS, MAX_METADATA};
use cryo_format::prim::{Addr, Raw};
use cryo_format::read::Stream;
use cryo_format::rules::Rule;
use cryo_format::section::extents::{Content, Extent};
use cryo_format::section::notes::{Note, Notes};
use cryo_format::section::origin::Origin;
use cryo_format::verify::verify;
use cryo_format::write::Writer;
use cryo_format::{Kind, Profile};

fn writer<W: Write>(out: W, profile: Profile) -> Writer<W> {
    Writer::new(out, &Header::new(profile, EM_X86_64, 12, Raw([1; 16]))).unwrap()
}

fn extent(vaddr: u64, pages: u64) -> Extent {
    Extent { vaddr: Addr(vaddr), pages, content: Content::DATA, reserved: 0, reference: 0 }
}

/// Most address space that this process ever had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmPeak:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn the_largest_section_fits_and_one_byte_more_does_not() {
    let notes =
        |len: u64| Notes { notes: vec![Note { object: "".into(), text: vec![b'x'; len as usize].into() }].into() };
    let room = MAX_METADATA - 24;
    let mut w = writer(Vec::new(), Profile::Frost);
    w.section(0, &notes(room)).unwrap();
    let error = w.section(1, &notes(room + 1)).unwrap_err().to_string();
    assert!(error.contains("above the limit of 16777216"), "{error}");
    // A refused section leaves no trace.
    let bytes = w.finish().unwrap().0;
    assert!(verify(&bytes, "img").unwrap().iter().all(|f| f.rule.0 == 56));
    assert_eq!(Image::new(bytes, "img").unwrap().get::<Notes>(0).unwrap(), Some(notes(room)));
}

#[test]
fn the_largest_batch_of_pages_fits_and_one_page_more_does_not() {
    let mut w = writer(Vec::new(), Profile::Freeze);
    let data = vec![1; MAX_DATA as usize + 4096];
    w.pages(1, &[extent(0, 256)], &data[4096..], None).unwrap();
    assert!(w.pages(1, &[extent(1 << 20, 257)], &data, None).is_err());
    assert!(w.pages(1, &[extent(1 << 20, 1)], &data[..100], None).is_err());
    let bytes = w.finish().unwrap().0;
    assert_eq!(Image::new(bytes, "img").unwrap().chunks().len(), 2);
}

#[test]
fn a_writer_refuses_what_readers_would() {
    let mut w = writer(Vec::new(), Profile::Freeze);
    assert!(w.pages(1, &[extent(0, 2)], &[1; 4096], None).is_err(), "more pages than there are");
    assert!(w.pages(1, &[extent(100, 1)], &[1; 4096], None).is_err(), "inside a page");
    assert!(w.section(0, &Origin::default()).is_err(), "of another profile");
    assert!(w.opaque(Kind::END, 1, ChunkFlags::NONE, 0, &[]).is_err());
    assert!(Writer::new(Vec::new(), &Header::new(Profile::Freeze, 1, 12, Raw([1; 16]))).is_err());
}

#[test]
fn announced_lengths_allocate_nothing() {
    let before = peak();
    let huge = [u64::MAX, 1 << 40, 1 << 62, u64::MAX / 24, (16 << 20) + 1];
    for n in huge {
        for info in cryo_format::section::SECTIONS.iter().chain(cryo_format::section::OLD_SECTIONS) {
            // As a chunk's length, and as the first count inside of it.
            let mut lies = chunk(&info.kind.0, info.flags.0, 1, b().u64s(4));
            (lies.version, lies.stored) = (info.version, Some(n));
            let profile = info.profile as u8;
            let bytes = file(profile, [1; 16], vec![lies]).build().0;
            assert!(!verify(&bytes, "img").unwrap().is_empty());
            assert!(Image::new(bytes, "img").is_err());
            for at in 0..40 {
                let mut payload = vec![0; 40 * 8];
                payload[at * 8..at * 8 + 8].copy_from_slice(&n.to_le_bytes());
                let _ = cryo_format::section::AnySection::parse(info.kind, info.version, &payload);
            }
        }
        let index = chunk(b"INDX", 0, 0, b().u64(0).u64(n));
        assert!(!verify(&file(1, [1; 16], vec![index]).build().0, "img").unwrap().is_empty());
        let mut largest = chunk(b"NOTE", CRITICAL, 1, b());
        largest.stored = Some(MAX_METADATA);
        assert!(Stream::new(file(3, [1; 16], vec![largest]).build().0.as_slice()).unwrap().next().is_err());
    }
    let grown = peak() - before;
    assert!(grown < 256 << 10, "the peak grew by {grown} KiB");
}

/// Writes to a file, but leaves a hole where a whole run of zero pages would go.
struct Sparse(File);

impl Write for Sparse {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.len() as u64 == MAX_DATA {
            self.0.seek(SeekFrom::Current(buf.len() as i64))?;
            return Ok(buf.len());
        }
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Counts what is read.
struct Counting<R> {
    input: R,
    bytes: Cell<u64>,
}

impl<R: ReadAt> ReadAt for Counting<R> {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.set(self.bytes.get() + buf.len() as u64);
        self.input.read_exact_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.input.size()
    }
}

/// A file of INDX chunks, each in the payload of the one before: as entries they are zeros wherever entries must be.
fn nested_indexes(depth: usize) -> Vec<u8> {
    const APART: usize = 72;
    let mut bytes = writer(Vec::new(), Profile::Frost).finish().unwrap().0;
    bytes.truncate(64);
    let end_at = 64 + depth * APART + 48;
    bytes.resize(end_at, 0);
    let header = |kind: &[u8; 4], critical: bool, payload: &[u8]| {
        let flags = if critical { ChunkFlags::CRITICAL } else { ChunkFlags::NONE };
        ChunkHeader::stored(Kind(*kind), 1, flags, 0, payload).to_bytes()
    };
    for i in (0..depth).rev() {
        let at = 64 + i * APART;
        let entries = (end_at - at - 64) / 48;
        let before = if i == 0 { 0 } else { (at - APART) as u64 };
        bytes[at + 48..at + 56].copy_from_slice(&before.to_le_bytes());
        bytes[at + 56..at + 64].copy_from_slice(&(entries as u64).to_le_bytes());
        let header = header(b"INDX", false, &bytes[at + 48..at + 64 + entries * 48]);
        bytes[at..at + 48].copy_from_slice(&header);
    }
    let end = [0; 40];
    bytes.extend(header(b"END ", true, &end));
    bytes.extend(end);
    bytes.extend(Footer { index: (64 + (depth - 1) * APART) as u64, end: end_at as u64 }.to_bytes());
    bytes
}

#[test]
fn indexes_inside_each_other_are_read_once() {
    let bytes = nested_indexes(500);
    let size = bytes.len() as u64;
    let input = Counting { input: bytes, bytes: Cell::new(0) };
    let error = Image::new(&input, "img").err().unwrap();
    assert_eq!(error.rule(), Some(Rule::INDEX), "{error}");
    assert!(error.to_string().contains("reaches into"), "{error}");
    assert!(input.bytes.get() < 2 * size, "{} bytes were read of {size}", input.bytes.get());
}

/// Two thousand chunks that each break three rules.
#[test]
fn a_verifier_lists_a_thousand_faults() {
    let wrong = || {
        let mut c = chunk(b"FDTB", 0, 1, b().u64(1));
        c.crc = 1;
        c
    };
    let bytes = file(3, [1; 16], (0..2000).map(|_| wrong()).collect()).build().0;
    let found = verify(&bytes, "img").unwrap();
    assert_eq!(found.len(), MAX_FINDINGS);
}

#[test]
fn opening_ten_gibibytes_reads_header_footer_and_index() {
    const RUNS: u64 = 10 << 10;
    let mut w = writer(Sparse(tempfile::tempfile().unwrap()), Profile::Freeze);
    let zeros = vec![0; MAX_DATA as usize];
    for i in 0..RUNS {
        w.pages(1, &[extent(i << 20, 256)], &zeros, None).unwrap();
    }
    let file = w.finish().unwrap().0.0;
    let size = file.metadata().unwrap().len();
    assert!(size > 10 << 30);

    let image = Image::new(Counting { input: file, bytes: Cell::new(0) }, "img").unwrap();
    assert_eq!(image.chunks().len() as u64, 2 * RUNS);
    let indexes = (2 * RUNS).div_ceil(INDEX_BATCH as u64);
    // Header, footer, END; each INDX with its chunk header (once to find its length, once to compare) and its own 16 bytes; 48 an entry.
    let most = 64 + 32 + (2 * 48 + 40) + indexes * (2 * 48 + 16) + 2 * RUNS * 48;
    let read = image.input().bytes.get();
    assert!(read <= most, "{read} bytes were read, {most} are enough");

    // And reading a page reads its run, not the image.
    let mut memory = image.memory(1).unwrap();
    let loaded = image.input().bytes.get();
    let mut page = [1; 4096];
    assert_eq!(memory.read((RUNS - 1) << 20, &mut page).unwrap(), 4096);
    assert_eq!(page, [0; 4096]);
    assert!(image.input().bytes.get() - loaded <= MAX_DATA + 48);
}
