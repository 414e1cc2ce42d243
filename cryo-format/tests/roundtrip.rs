//! Write, read, equal; read, write, same bytes: for arbitrary sections of every kind in every version.

#![allow(clippy::unwrap_used)] // also outside of test functions

mod common;

use common::chance::{Chance, every_section, generate};
use common::{PAGE, header};
use cryo_format::image::Image;
use cryo_format::prim::Addr;
use cryo_format::read::Stream;
use cryo_format::section::AnySection;
use cryo_format::section::extents::{Content, Extent};
use cryo_format::write::Writer;
use cryo_format::{Kind, Profile, digest, verify};
use proptest::prelude::*;

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
        let infos: Vec<_> = every_section().filter(|i| i.profile == profile).collect();
        let sections: Vec<(u64, AnySection)> = picks.iter().enumerate().map(|(i, (pick, words))| {
            let info = infos[pick.index(infos.len())];
            (i as u64, generate(info, &mut Chance::new(words)))
        }).collect();
        let pages = if profile == Profile::Freeze { batches(&sizes) } else { Vec::new() };
        let bytes = write(profile, &sections, &pages);

        // In one pass.
        let mut stream = Stream::new(bytes.as_slice()).unwrap();
        let mut read = Vec::new();
        let mut read_pages: Vec<(Vec<Extent>, Vec<u8>)> = Vec::new();
        while let Some(mut chunk) = stream.next().unwrap() {
            let exact = chunk.exact().unwrap();
            // What it has become by now is a good section, too.
            let latest = chunk.any().unwrap();
            prop_assert_eq!(latest.validate(), Ok(()));
            prop_assert_eq!(&exact.clone().latest(), &latest);
            match exact {
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
        let found: Vec<_> = image.chunks().iter().filter(|e| e.kind != Kind::DATA).map(|e| (e.owner, image.exact(e).unwrap())).collect();
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
        for info in every_section() {
            let _ = AnySection::parse(info.kind, info.version, &bytes);
        }
    }
}
