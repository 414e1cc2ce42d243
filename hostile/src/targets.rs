//! The readers. Each takes any bytes, as a pipe would bring them; what they think of them does not matter, only that they come to an end.

use std::io::Cursor;

use cryo_format::image::Image;
use cryo_format::read::Stream;
use cryo_format::verify::{verify as verify_file, verify_together};
use cryo_format::{Kind, Profile};
use cryo_thaw::ice::Ice;

/// A reader, by name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Target; 6] =
    [("reader", reader), ("image", image), ("verify", verify), ("dump", dump), ("json", json), ("thaw", thaw)];

/// The files that stand one after another; where one is broken, the rest belongs to it.
fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut files = Vec::new();
    while files.is_empty() || !bytes.is_empty() {
        let rest = Stream::new(bytes).ok().and_then(|mut stream| {
            while stream.next().ok()?.is_some() {}
            Some(stream.into_inner())
        });
        let rest = rest.unwrap_or_default();
        files.push(&bytes[..bytes.len() - rest.len()]);
        bytes = rest;
    }
    files
}

/// The reader in one pass.
pub fn reader(mut bytes: &[u8]) {
    let mut pages = Vec::new();
    while let Ok(mut stream) = Stream::new(bytes) {
        loop {
            match stream.next() {
                Ok(Some(mut chunk)) if chunk.kind() == Kind::DATA => drop(chunk.data(&mut pages)),
                Ok(Some(chunk)) => drop(chunk.any()),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        bytes = stream.into_inner();
    }
}

/// The reader at random, and the one for a lost index.
pub fn image(bytes: &[u8]) {
    for file in split(bytes) {
        let images = [Image::new(file.to_vec(), "file"), Image::scan(file.to_vec(), "file")];
        for image in images.into_iter().flatten() {
            let _ = image.check();
            image.chunks().iter().for_each(|entry| drop(image.any(entry)));
            let mut owners: Vec<u64> = image.chunks().iter().map(|e| e.owner).collect();
            owners.dedup();
            for owner in owners.into_iter().take(16) {
                let Ok(mut memory) = image.memory(owner) else { continue };
                let starts: Vec<u64> = memory.extents().map(|(e, _)| e.vaddr.0).take(16).collect();
                for at in starts {
                    let _ = memory.read(at.wrapping_add(5), &mut [0; 8000]);
                }
            }
        }
    }
}

/// Every promise of the format, in each file and between them.
pub fn verify(bytes: &[u8]) {
    let files = split(bytes);
    for file in &files {
        let _ = verify_file(file, "file");
    }
    if files.len() == Profile::ALL.len() {
        let _ = verify_together(&files.iter().map(|f| (f, "file")).collect::<Vec<_>>());
    }
}

/// The dump for people.
///
/// # Panics
///
/// If something of the image in it steers their terminal: so a target says what must not be.
pub fn dump(bytes: &[u8]) {
    let Ok(ice) = cryo_inspect::ice::Ice::read(bytes) else { return };
    let mut out = Vec::new();
    let _ = cryo_inspect::dump::dump(&ice, &mut out);
    // What is left when our own colours are taken away.
    let text = anstream::adapter::strip_bytes(&out).into_vec();
    let ours = out.windows(2).all(|w| w[0] != 0x1b || w[1] == b'[');
    let steers = |c: char| c.is_control() && c != '\n';
    assert!(ours && !String::from_utf8_lossy(&text).contains(steers), "the dump steers the terminal");
}

/// The dump for programs.
pub fn json(bytes: &[u8]) {
    let _ = cryo_inspect::json::dump_pipe(bytes, &mut std::io::sink());
}

/// Everything that a thaw looks at before there is a process.
pub fn thaw(bytes: &[u8]) {
    let Ok(mut ice) = Ice::pipe(Box::new(Cursor::new(bytes.to_vec()))) else { return };
    let options =
        cryo_thaw::Options { own_credentials: true, lower_limits: true, ignore_cpu: true, ..Default::default() };
    // Each by itself: behind what one refuses there is more.
    let _ = cryo_thaw::restore::final_steps::check(&ice, &options);
    let _ = cryo_thaw::thaw::prepare(&mut ice, &options);
    let strict = cryo_thaw::Options::default();
    let _ = cryo_thaw::check::check(&ice, &strict);
    let ids: Vec<u64> = ice.all::<cryo_format::section::process::Process>().map(|(id, _)| id).collect();
    ids.into_iter().take(4).for_each(|id| drop(cryo_thaw::remap::Template::of(&ice, id)));
}
