//! Write, read, equal; read, write, same bytes: for arbitrary sections of every kind in the registry.

#![allow(clippy::unwrap_used)] // also outside of test functions

mod common;

use std::io::{self, Read, Seek, SeekFrom};

use binrw::Endian;
use common::{PAGE, header};
use cryo_format::image::Image;
use cryo_format::prim::{Addr, Blob};
use cryo_format::read::Stream;
use cryo_format::section::extents::{Content, Extent};
use cryo_format::section::{AnySection, Info, SECTIONS, Section, pending, xstate};
use cryo_format::write::Writer;
use cryo_format::{Kind, Profile, digest, verify};
use proptest::prelude::*;

/// Words of chance that sections are read from: many of them small, so that counts and lengths fit; zeros when they run out.
struct Chance<'a> {
    words: std::slice::Iter<'a, u64>,
    read: u64,
}

impl Chance<'_> {
    fn word(&mut self) -> u64 {
        let w = self.words.next().copied().unwrap_or(0);
        if w >> 62 == 3 { w } else { w & 3 }
    }
}

impl Read for Chance<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        for part in buf.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            part.copy_from_slice(&word[..part.len()]);
        }
        self.read += buf.len() as u64;
        Ok(buf.len())
    }
}

impl Seek for Chance<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        // Sections ask how much is left, to refuse counts that do not fit.
        Ok(if matches!(to, SeekFrom::End(_)) { self.read + 1024 } else { self.read })
    }
}

fn arbitrary<S: Section>(chance: &mut Chance<'_>) -> AnySection {
    loop {
        if let Ok(section) = S::read_options(chance, Endian::Little, ()) {
            let mut section = section.into();
            mend(&mut section);
            return section;
        }
    }
}

/// Makes what chance gave keep the rules of its section.
fn mend(section: &mut AnySection) {
    match section {
        AnySection::Cpu(s) => {
            s.features.sort();
            s.features.dedup();
            s.in_use.0 &= s.xcr0.0;
        }
        AnySection::Objects(s) => {
            s.objects.iter_mut().for_each(|o| o.embedded &= 1);
            s.objects.retain(|o| o.id != 0);
            s.objects.sort_by_key(|o| o.id);
            s.objects.dedup_by_key(|o| o.id);
        }
        AnySection::Vmas(s) => {
            let mut at = 0;
            for v in s.vmas.iter_mut() {
                v.start = Addr(at + (v.start.0 % 1000) * PAGE as u64);
                v.end = Addr(v.start.0 + (v.end.0 % 1000 + 1) * PAGE as u64);
                v.object |= 1;
                at = v.end.0;
            }
        }
        AnySection::Thread(s) => s.process |= 1,
        AnySection::Actions(s) => {
            for a in s.actions.iter_mut() {
                (a.signal, a.reserved) = (a.signal % 64 + 1, 0);
            }
            s.actions.sort_by_key(|a| a.signal);
            s.actions.dedup_by_key(|a| a.signal);
        }
        AnySection::Pending(s) => {
            let sized = |b: &Blob| [b.as_slice(), &[0; pending::SIGINFO_LEN]].concat()[..pending::SIGINFO_LEN].to_vec();
            s.signals = s.signals.iter().map(|b| sized(b).into()).collect();
        }
        AnySection::Descriptors(s) => {
            s.descriptors.iter_mut().for_each(|d| d.description |= 1);
            s.descriptors.sort_by_key(|d| d.fd);
            s.descriptors.dedup_by_key(|d| d.fd);
        }
        AnySection::OpenFile(s) => s.reserved = 0,
        AnySection::Xstate(s) => {
            s.area = [s.area.as_slice(), &[1; xstate::LEGACY_LEN]].concat().into();
            s.layout.iter_mut().for_each(|c| (c.offset, c.size) = (c.offset % 256, c.size % 256));
            s.layout.sort_by_key(|c| c.number);
            s.layout.dedup_by_key(|c| c.number);
        }
        AnySection::Tls(s) => {
            s.entries.iter_mut().for_each(|e| e.flags %= 128);
            s.entries.sort_by_key(|e| e.entry);
            s.entries.dedup_by_key(|e| e.entry);
        }
        AnySection::Extents(s) => *s = cryo_format::section::extents::Extents::default(),
        _ => {}
    }
}

macro_rules! generators {
    ($($module:ident $ty:ident $kind:literal $version:literal $profile:ident $scope:ident $flags:ident;)*) => {
        fn generate(info: &Info, chance: &mut Chance<'_>) -> AnySection {
            match info.kind {
                $(cryo_format::section::$module::$ty::KIND => arbitrary::<cryo_format::section::$module::$ty>(chance),)*
                _ => unreachable!("the registry is the list"),
            }
        }
    };
}
cryo_format::for_each_section!(generators);

/// Pages with extents over them, one batch for each size, ascending.
fn batches(sizes: &[(u8, u8)]) -> Vec<(Vec<Extent>, Vec<u8>)> {
    let mut at = 0;
    let mut out = Vec::new();
    for (pages, gap) in sizes {
        let mut extents = Vec::new();
        let mut push = |pages: u64, content, reference| {
            if pages > 0 {
                extents.push(Extent { vaddr: Addr(at), pages, content, reserved: 0, reference });
                at += pages * PAGE as u64;
            }
        };
        let pages = u64::from(*pages % 6);
        push(pages / 2, Content::DATA, 0);
        push(u64::from(*gap), Content::ZERO, 0);
        push(pages - pages / 2, Content::FILE_DATA, pages / 2);
        at += u64::from(gap % 3) * PAGE as u64;
        let data = (0..pages as usize * PAGE).map(|i| (i / 7) as u8 ^ gap).collect();
        out.push((extents, data));
    }
    out
}

fn write(profile: Profile, sections: &[(u64, AnySection)], pages: &[(Vec<Extent>, Vec<u8>)]) -> Vec<u8> {
    let mut w = Writer::new(Vec::new(), &header(profile)).unwrap();
    for (owner, section) in sections {
        w.any(*owner, section).unwrap();
    }
    for (extents, data) in pages {
        w.pages(1, extents, data, data.len().is_multiple_of(2 * PAGE).then(|| digest(data))).unwrap();
    }
    w.finish().unwrap().0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        profile in prop::sample::select(Profile::ALL.to_vec()),
        picks in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<u64>(), 0..200)), 0..12),
        sizes in prop::collection::vec(any::<(u8, u8)>(), 0..6),
    ) {
        let infos: Vec<_> = SECTIONS.iter().filter(|i| i.profile == profile).collect();
        let sections: Vec<(u64, AnySection)> = picks.iter().enumerate().map(|(i, (pick, words))| {
            let info = infos[pick.index(infos.len())];
            (i as u64, generate(info, &mut Chance { words: words.iter(), read: 0 }))
        }).collect();
        let pages = if profile == Profile::Freeze { batches(&sizes) } else { Vec::new() };
        let bytes = write(profile, &sections, &pages);

        // In one pass.
        let mut stream = Stream::new(bytes.as_slice()).unwrap();
        let mut read = Vec::new();
        let mut read_pages: Vec<(Vec<Extent>, Vec<u8>)> = Vec::new();
        while let Some(mut chunk) = stream.next().unwrap() {
            match chunk.any().unwrap() {
                AnySection::Bulk if chunk.kind() == Kind::DATA => chunk.data(&mut read_pages.last_mut().unwrap().1).unwrap(),
                AnySection::Bulk | AnySection::Index(_) => {}
                // Behind the sections come the pages, whose owner is 1.
                AnySection::Extents(e) if read.len() == sections.len() => read_pages.push((e.extents.0, Vec::new())),
                section => read.push((chunk.owner(), section)),
            }
        }
        prop_assert_eq!(&read, &sections);
        prop_assert_eq!(&read_pages, &pages);

        // At random.
        let image = Image::new(bytes.clone(), "image").unwrap();
        let found: Vec<_> = image.chunks().iter().filter(|e| e.kind != Kind::DATA).map(|e| (e.owner, image.any(e).unwrap())).collect();
        prop_assert_eq!(&found[..sections.len()], &sections[..]);
        let mut memory = image.memory(1).unwrap();
        for (extents, data) in &pages {
            for e in extents {
                let mut out = vec![0xee; e.pages as usize * PAGE];
                prop_assert_eq!(memory.read(e.vaddr.0, &mut out).unwrap(), out.len());
                let start = e.reference as usize * PAGE;
                if e.content == Content::ZERO {
                    prop_assert!(out.iter().all(|b| *b == 0));
                } else {
                    prop_assert_eq!(&out, &data[start..start + out.len()]);
                }
            }
        }

        // The same bytes again.
        prop_assert_eq!(write(profile, &read, &read_pages), bytes);
    }

    #[test]
    fn nothing_makes_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), frame in any::<bool>()) {
        let mut file = Vec::new();
        if frame {
            file.extend(header(Profile::Frost).to_bytes());
        }
        file.extend(&bytes);
        prop_assert!(!verify::verify(&file, "noise").unwrap().is_empty());
        prop_assert!(Image::new(file, "noise").is_err());
        for info in SECTIONS {
            let _ = AnySection::parse(info.kind, info.version, &bytes);
        }
    }
}
