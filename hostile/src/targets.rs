//! The readers. Each takes any bytes, as a pipe would bring them; what they think of them does not matter, only that they come to an end.

use std::io::Cursor;

use cryo_format::image::Image;
use cryo_format::read::Stream;
use cryo_format::verify::{verify as verify_file, verify_together};
use cryo_format::{Kind, Profile};
use cryo_inspect::ice::Ice as Kept;
use cryo_thaw::ice::Ice;

/// A reader, by name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Target; 13] = [
    ("reader", reader),
    ("image", image),
    ("verify", verify),
    ("dump", dump),
    ("json", json),
    ("inspect", inspect),
    ("commands", commands),
    ("print", print),
    ("convert", convert),
    ("diff", diff),
    ("report", report),
    ("tui", tui),
    ("thaw", thaw),
];

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
    let Ok(ice) = Kept::read(bytes) else { return };
    let mut out = Vec::new();
    let _ = cryo_inspect::dump::dump(&ice, &mut out);
    assert!(!steers(&out), "the dump steers the terminal");
}

/// Is there something that steers a terminal, but for our own colours?
fn steers(out: &[u8]) -> bool {
    let text = anstream::adapter::strip_bytes(out).into_vec();
    let ours = out.windows(2).all(|w| w[0] != 0x1b || w[1] == b'[');
    !ours || String::from_utf8_lossy(&text).contains(|c: char| c.is_control() && c != '\n')
}

/// The dump for programs, in each of their formats.
///
/// # Panics
///
/// If something of the image in it steers the terminal.
pub fn json(bytes: &[u8]) {
    use cryo_inspect::{command::Format, json};
    let Ok(files) = json::read_pipe(bytes) else { return };
    for format in [Format::Json, Format::Jsonl, Format::Csv] {
        let mut out = Vec::new();
        let _ = json::draw(&files, format, &mut out);
        assert!(!steers(&out), "the dump steers the terminal");
    }
}

/// What the inspector's commands do with memory: they read it, find symbols and frames in it, and search it; and a set written anew.
pub fn inspect(bytes: &[u8]) {
    use cryo_inspect::{arch::Registers, modules::Modules, people::People, print::Cx};
    use cryo_inspect::{scan::scan, space::Space, unwind::unwind};
    let Ok(ice) = Kept::keep(bytes) else { return };
    if let Ok(dir) = tempfile::tempdir() {
        let _ = cryo_inspect::rewrite::write(&ice, &dir.path().join("img"), &mut cryo_inspect::rewrite::Same, false);
    }
    let Ok(pattern) = regex::bytes::Regex::new(r"(?-u)[\x20-\x7e]{4,64}") else { return };
    for (id, threads) in People::of(&ice).processes.iter().take(4) {
        let cx = Cx { ice: &ice, owner: *id, process: Some(*id) };
        let Ok(mut space) = Space::of(&ice, *id) else { continue };
        let Ok(modules) = Modules::of(&cx, &mut space) else { continue };
        for regs in threads.iter().take(4).filter_map(|t| Registers::of(&ice, *t)) {
            let frames = unwind(&regs, &mut space, &modules);
            for f in frames {
                let _ = modules.name(f.pc);
            }
        }
        let ranges: Vec<(u64, u64)> = space.runs().iter().take(64).map(|r| (r.start, r.end)).collect();
        let mut left = 1000;
        let _ = scan(&mut space, &ranges, &pattern, |_, _| {
            left -= 1;
            Ok(left > 0)
        });
    }
}

/// Commands that go over all that is there: descriptors, the tree, statistics, objects as files, a redacted set.
///
/// # Panics
///
/// If something of the image in what is shown steers the terminal.
pub fn commands(bytes: &[u8]) {
    use cryo_inspect::block::Blocks;
    use cryo_inspect::command::{Opened, extract, fds, map, redact, stats, tree};
    let Ok(ice) = Kept::keep(bytes) else { return };
    let people = cryo_inspect::people::People::of(&ice);
    let opened = Opened { ice, people };
    let filter = map::Filter::default();
    let mut blocks = Blocks::default();
    blocks.table(tree::table(&opened, true));
    blocks.append(opened.each(|cx, _, out| {
        fds::process(cx, &[], out);
        let _ = map::process(cx, &filter, out);
        let _ = stats::process(cx, &filter, out);
    }));
    let mut out = Vec::new();
    let _ = cryo_inspect::draw::text::draw(&blocks.into_vec(), Some(100), &mut out);
    assert!(!steers(&out), "a command steers the terminal");
    let objects = opened.ice.get::<cryo_format::section::objects::Objects>(0);
    for object in objects.iter().flat_map(|o| &o.objects).take(16) {
        let Ok(mut file) = tempfile::tempfile() else { return };
        let _ = extract::sparse(&opened, object, &mut file);
    }
    let (Ok(dir), Ok(pattern)) = (tempfile::tempdir(), regex::bytes::Regex::new("(?-u)[0-9]{4,16}")) else { return };
    let _ = redact::redact(&opened.ice, &dir.path().join("img"), true, vec![pattern]);
}

/// Every printer, on every section by itself, whoever it belongs to; in each format.
///
/// # Panics
///
/// If something of the image in it steers the terminal.
pub fn print(bytes: &[u8]) {
    use cryo_inspect::{block::Blocks, draw, dump::section, print::Cx};
    let Ok(ice) = Kept::keep(bytes) else { return };
    let owners: Vec<u64> = ice.owners();
    for owner in &owners {
        // As if it were of another, too: then what it refers to is not there.
        for process in [None, Some(*owner)] {
            let cx = Cx { ice: &ice, owner: *owner, process };
            for entry in ice.of(*owner) {
                let mut blocks = Blocks::default();
                blocks.group(section(entry, &cx));
                let tree = blocks.into_vec();
                let _ = draw::json::value(&tree);
                let _ = draw::rows::csv(&tree, &mut std::io::sink());
                let _ = draw::rows::jsonl(&tree, &mut std::io::sink());
                for width in [None, Some(20)] {
                    let mut out = Vec::new();
                    let _ = draw::text::draw(&tree, width, &mut out);
                    assert!(!steers(&out), "{} steers the terminal", entry.kind);
                }
            }
        }
    }
}

/// A core of every extent.
pub fn convert(bytes: &[u8]) {
    use cryo_inspect::{convert::to_core, people::People, print::Cx};
    let Ok(ice) = Kept::keep(bytes) else { return };
    for (id, threads) in People::of(&ice).processes.iter().take(2) {
        let cx = Cx { ice: &ice, owner: *id, process: Some(*id) };
        for extent in [to_core::Extent::Mini, to_core::Extent::Triage] {
            let Ok(mut file) = tempfile::tempfile() else { return };
            let _ = to_core::write(&cx, threads, extent, &mut file);
        }
    }
}

/// Compared with itself, and with its own first two files.
///
/// # Panics
///
/// If something of the image in it steers the terminal.
pub fn diff(bytes: &[u8]) {
    use cryo_inspect::diff;
    let options = diff::Options { bytes: true, most: 8, unchanged: true, ..diff::Options::default() };
    let files = split(bytes);
    let part = files.iter().take(2).copied().collect::<Vec<_>>().concat();
    let Ok(ice) = Kept::keep(bytes) else { return };
    for other in [bytes, &part[..]].into_iter().filter_map(|other| Kept::keep(other).ok()) {
        for (a, b) in [(&ice, &other), (&other, &ice)] {
            if let Ok((blocks, _)) = diff::diff(a, b, options) {
                let mut out = Vec::new();
                let _ = cryo_inspect::draw::text::draw(&blocks.into_vec(), Some(80), &mut out);
                assert!(!steers(&out), "the comparison steers the terminal");
            }
        }
    }
}

/// The page for a browser.
///
/// # Panics
///
/// If it is larger than is promised, or something of the image in it is markup.
pub fn report(bytes: &[u8]) {
    let Ok(ice) = Kept::keep(bytes) else { return };
    let people = cryo_inspect::people::People::of(&ice);
    let opened = cryo_inspect::command::Opened { ice, people };
    let Ok(page) = cryo_inspect::command::report::text(&opened) else { return };
    assert!(page.len() < 5 << 20, "{} bytes", page.len());
    assert_eq!(page.matches("<script").count(), 1);
}

/// Every view of the terminal's.
///
/// # Panics
///
/// If something of the image in it steers the terminal.
pub fn tui(bytes: &[u8]) {
    use cryo_inspect::tui::{App, rehearse};
    let Ok(ice) = Kept::keep(bytes) else { return };
    let people = cryo_inspect::people::People::of(&ice);
    let opened = cryo_inspect::command::Opened { ice, people };
    // One of two sizes.
    let (width, height) = if bytes.len().is_multiple_of(2) { (60, 12) } else { (130, 30) };
    let mut none = |_: &[String], _: &mut dyn std::io::Write| Ok(());
    let mut app = App::new(&opened, None, &mut none);
    // The tree walked; the map, and memory from there; up, down, along pointers; threads, descriptors, the next process.
    let keys = "Gl2jj\n jlhkg\nG \n3]Gj45 7:regs\n?";
    let Ok(screen) = rehearse(&mut app, keys, width, height) else { return };
    assert!(!screen.contains(|c: char| c.is_control() && c != '\n'), "the screen steers the terminal");
}

/// Everything that a thaw looks at before there is a process.
pub fn thaw(bytes: &[u8]) {
    let Ok(mut ice) = Ice::pipe(Box::new(Cursor::new(bytes.to_vec()))) else { return };
    let options =
        cryo_thaw::Options { own_credentials: true, lower_limits: true, ignore_cpu: true, ..Default::default() };
    // Each by itself: behind what one refuses there is more.
    let _ = cryo_thaw::check::rights(&ice, &options);
    let _ = cryo_thaw::prepared::prepare(&mut ice, &options);
    let strict = cryo_thaw::Options::default();
    let _ = cryo_thaw::check::check(&ice, &strict);
    let ids: Vec<u64> = ice.all::<cryo_format::section::process::Process>().map(|(id, _)| id).collect();
    ids.into_iter().take(4).for_each(|id| drop(cryo_thaw::remap::Template::of(&ice, id)));
}
