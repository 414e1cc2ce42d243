//! Write, read in one pass, open at random, verify: the same things come back.

#![allow(clippy::unwrap_used)] // also outside of test functions

mod common;

use common::{Files, PAGE, header, small_set};
use cryo_format::dump::FileDump;
use cryo_format::image::Image;
use cryo_format::read::Stream;
use cryo_format::section::cpu::Cpu;
use cryo_format::section::link::Link;
use cryo_format::section::objects::Objects;
use cryo_format::section::process::Process;
use cryo_format::section::vmas::Vmas;
use cryo_format::section::{AnySection, Section};
use cryo_format::set::{self, Set};
use cryo_format::write::Writer;
use cryo_format::{Kind, Profile, verify};

/// Reads a file and writes what was read.
fn rewrite(bytes: &[u8]) -> Vec<u8> {
    let mut stream = Stream::new(bytes).unwrap();
    let mut writer = Writer::new(Vec::new(), stream.header()).unwrap();
    let mut announced = None;
    while let Some(mut chunk) = stream.next().unwrap() {
        let owner = chunk.owner();
        match chunk.exact().unwrap() {
            AnySection::Extents(e) if e.data_pages > 0 => announced = Some(e),
            AnySection::Unknown(bytes) => {
                let h = *chunk.header();
                writer.opaque(h.kind, h.version, h.flags, h.owner, &bytes).unwrap();
            }
            AnySection::Bulk if chunk.kind() == Kind::DATA => {
                let mut data = Vec::new();
                chunk.data(&mut data).unwrap();
                let e = announced.take().unwrap();
                writer.pages(owner, &e.extents, &data, Some(e.digest)).unwrap();
            }
            AnySection::Bulk | AnySection::Index(_) => {}
            section => writer.any(owner, &section).unwrap(),
        }
    }
    writer.finish().unwrap().0
}

#[test]
fn same_bytes_after_reading_and_writing() {
    let Files { frore, frost, freeze } = small_set();
    for bytes in [&frore, &frost, &freeze] {
        assert_eq!(&rewrite(bytes), bytes);
    }
}

#[test]
fn a_pipe_carries_three_files() {
    let Files { frore, frost, freeze } = small_set();
    let pipe = [frore, frost, freeze, b"behind".to_vec()].concat();
    let mut rest = pipe.as_slice();
    for profile in Profile::ALL {
        let mut stream = Stream::new(rest).unwrap();
        stream.expect(profile).unwrap();
        while stream.next().unwrap().is_some() {}
        assert!(stream.end().is_some());
        rest = stream.into_inner();
    }
    assert_eq!(rest, b"behind");
}

#[test]
fn opened_at_random() {
    let Files { frore, frost, freeze } = small_set();
    let open = |bytes, name| Image::new(bytes, name).unwrap();
    let set = Set::new(open(frore, "a.frore"), open(frost, "a.frost"), open(freeze, "a.freeze")).unwrap();
    assert_eq!(set.all::<Objects>().unwrap().len(), 1);
    let vmas = set.get::<Vmas>(1).unwrap().unwrap();
    assert_eq!(vmas.vmas.len(), 2);

    let mut buf = vec![0xaa; 4 * PAGE];
    let start = vmas.vmas[0].start.0;
    assert_eq!(set.freeze.read_memory(1, start + 100, &mut buf).unwrap(), 3 * PAGE - 100);
    assert_eq!(buf[0], 1);
    assert_eq!(buf[PAGE - 100], 2);
    assert!(buf[2 * PAGE - 100..3 * PAGE - 100].iter().all(|b| *b == 0));
    assert_eq!(set.freeze.read_memory(1, start - 1, &mut buf).unwrap(), 0);

    let model = set.model().unwrap();
    assert_eq!(model.get::<Vmas>(1), Some(&vmas));
    assert!(serde_json::to_string(&model).unwrap().contains("\"VMAS\""));
}

#[test]
fn page_data_is_page_aligned() {
    let freeze = small_set().freeze;
    let image = Image::new(freeze, "a").unwrap();
    let data: Vec<_> = image.chunks().iter().filter(|e| e.kind == Kind::DATA).collect();
    assert_eq!(data.len(), 2);
    assert!(data.iter().all(|e| (e.offset + 48) % PAGE as u64 == 0));
}

#[test]
fn a_good_set_verifies() {
    let dir = tempfile::tempdir().unwrap();
    small_set().store(&dir.path().join("img"));
    assert_eq!(verify::verify_set(dir.path().join("img.freeze")).unwrap(), []);
    let dump = FileDump::read(std::fs::File::open(dir.path().join("img.frore")).unwrap(), "img.frore").unwrap();
    assert!(dump.chunks.iter().any(|c| c.kind == Vmas::KIND));
    let scanned = Image::open_by_scan(dir.path().join("img.freeze")).unwrap();
    let opened = Image::open(dir.path().join("img.freeze")).unwrap();
    assert_eq!(scanned.chunks(), opened.chunks());
}

/// A set of one process of this pid, and of a machine of this name.
fn tiny(pid: u64) -> Files {
    let mut w = Writer::new(Vec::new(), &header(Profile::Frore)).unwrap();
    w.section(0, &Cpu { brand: pid.to_string().as_str().into(), ..Cpu::default() }).unwrap();
    let (frore, frore_root) = w.finish().unwrap();
    let mut w = Writer::new(Vec::new(), &header(Profile::Frost)).unwrap();
    w.section(1, &Process { pid, ..Process::default() }).unwrap();
    let (frost, frost_root) = w.finish().unwrap();
    let mut w = Writer::new(Vec::new(), &header(Profile::Freeze)).unwrap();
    w.section(0, &Link { frore_set: header(Profile::Frore).set, frore_root, frost_root }).unwrap();
    let (freeze, _) = w.finish().unwrap();
    Files { frore, frost, freeze }
}

/// The steps of a replacement (cryo-freeze/src/output.rs), each of which may be the last.
#[test]
fn a_set_is_located_whenever_its_replacement_was_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("set");
    let (old, new) = (tiny(1), tiny(2));
    old.store(&name);
    let own = set::paths(&name).map(|(_, path)| path);
    let next = own.clone().map(|path| set::next(&path));
    let located = || set::locate(&name).map(|(_, path)| path);
    let pid = || Set::open(&name).unwrap().all::<Process>().unwrap()[0].1.pid;
    assert_eq!((located(), pid()), (own.clone(), 1));

    std::fs::write(&next[0], &new.frore[..new.frore.len() / 2]).unwrap();
    assert_eq!((located(), pid()), (own.clone(), 1), "half written");
    std::fs::write(&next[0], &new.frore).unwrap();
    std::fs::write(&next[1], &new.frost).unwrap();
    assert_eq!((located(), pid()), (own.clone(), 1), "the .freeze is still the old one");
    std::fs::write(&own[2], &new.freeze).unwrap();
    assert_eq!((located(), pid()), ([next[0].clone(), next[1].clone(), own[2].clone()], 2), "the .freeze decides");
    std::fs::rename(&next[0], &own[0]).unwrap();
    assert_eq!((located(), pid()), ([own[0].clone(), next[1].clone(), own[2].clone()], 2), "one is in its place");
    std::fs::rename(&next[1], &own[1]).unwrap();
    assert_eq!((located(), pid()), (own, 2));
}
