//! The module's reader, built in user space under sanitizers, against cryo-format: the same meaning, the same verdict by the same rule, and no byte read
//! that is not there.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use cryo_format::chunk::{CHUNK_HEADER_LEN, ChunkFlags};
use cryo_format::header::{EM_386, EM_X86_64, HEADER_LEN, Header};
use cryo_format::index::FOOTER_LEN;
use cryo_format::prim::{Addr, Raw, hex};
use cryo_format::read::Stream;
use cryo_format::rules::{Rule, Violation};
use cryo_format::section::objects::{Object, ObjectKind, Objects};
use cryo_format::section::vmas::{Backing, VmFlags, Vma, Vmas};
use cryo_format::section::{AnySection, OldSection, Section, v1};
use cryo_format::write::Writer;
use cryo_format::{Error, Kind, Profile};
use hostile::Random;
use hostile::mutate::mutant;
use hostile::set::{Chunk, Set};
use proptest::prelude::*;

/// What the reader has for what is no broken rule (`frore.h`).
const PROFILE: u16 = 1000;
const NONE: u16 = 1001;
const WHICH: u16 = 1002;
/// A rule for which the kernel has no hash.
const UNCHECKED: Rule = Rule::ROOT;

/// `tests/reader.c`, with every sanitizer that finds a read or a sum that is wrong.
fn compile(dir: &Path) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = dir.join("reader");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]);
    cc.args(["-fno-sanitize-recover=all", "-o"]).arg(&program);
    let done = cc.args([here.join("tests/reader.c"), here.join("frore.c")]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    program
}

/// The reader, running.
struct Reader {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _dir: tempfile::TempDir,
}

impl Reader {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(compile(dir.path())).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output, _dir: dir }
    }

    /// What it understands of a file.
    fn read(&mut self, bytes: &[u8], owner: u64) -> String {
        let mut all = (bytes.len() as u64).to_le_bytes().to_vec();
        all.extend(owner.to_le_bytes());
        all.extend(bytes);
        self.input.write_all(&all).unwrap();
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the reader is gone: {:?}", self.child.wait());
            if line == "done\n" {
                return said;
            }
            said += &line;
        }
    }

    /// The same file, by both.
    fn compare(&mut self, bytes: &[u8], owner: u64) -> Result<(), String> {
        let said = self.read(bytes, owner);
        let is = said.strip_prefix("rule ").and_then(|s| s.split_once(' ')?.0.parse::<u16>().ok());
        match (understand(bytes, owner), is) {
            (Ok(text), None) if text == said => Ok(()),
            // Behind a wrong root cryo-format reads no further.
            (Err(rule), None | Some(19 | 22..=24 | NONE | WHICH)) if rule == UNCHECKED.0 => Ok(()),
            (Err(rule), Some(is)) if rule == is => Ok(()),
            (ours, _) => Err(format!("cryo-format: {ours:?}\nfrore.c: {said}")),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What cryo-format makes of it, in the reader's words, or the rule that is broken first.
fn understand(bytes: &[u8], owner: u64) -> Result<String, u16> {
    let rule = |e: Error| match e {
        Error::Broken { violation, .. } => violation.rule.0,
        Error::Truncated { .. } | Error::Empty { .. } => Rule::TRUNCATED.0,
        e => panic!("{e}"),
    };
    let broken = |v: Violation| v.rule.0;
    let mut stream = Stream::new(bytes).map_err(rule)?;
    if stream.header().profile != Profile::Frore {
        return Err(PROFILE);
    }
    let (page, machine, shift) = (stream.header().page_size(), stream.header().machine, stream.header().page_shift);
    let (mut objects, mut chosen): (Option<Objects>, Option<(u64, Vmas)>) = (None, None);
    let mut several = false;
    while let Some(chunk) = stream.next().map_err(rule)? {
        let of = chunk.owner();
        if chunk.kind() == Objects::KIND {
            if of != 0 {
                return Err(Rule::OWNER.0);
            } else if objects.is_some() {
                return Err(Rule::TWICE.0);
            }
            let any = chunk.exact().map_err(rule)?;
            any.validate().map_err(broken)?;
            let AnySection::Objects(latest) = any.latest() else { panic!("OBJS is no OBJS") };
            objects = Some(latest);
        } else if chunk.kind() == Vmas::KIND {
            if of == 0 {
                return Err(Rule::OWNER.0);
            } else if chosen.as_ref().is_some_and(|c| c.0 == of) {
                return Err(Rule::TWICE.0);
            }
            let vmas: Vmas = chunk.section().map_err(rule)?;
            vmas.check(1 << 12).and_then(|()| vmas.check(page)).map_err(broken)?;
            if chosen.is_none() && (owner == 0 || owner == of) {
                chosen = Some((of, vmas));
            } else {
                several |= owner == 0;
            }
        }
    }
    if !stream.into_inner().is_empty() {
        return Err(Rule::TRAILING.0);
    }
    let (of, vmas) = chosen.ok_or(NONE)?;
    if several {
        return Err(WHICH);
    }
    let objects = objects.unwrap_or_default().objects;
    let there: BTreeSet<u64> = objects.iter().map(|o| o.id).collect();
    if vmas.vmas.iter().any(|v| v.object != 0 && !there.contains(&v.object)) {
        return Err(Rule::VMA_OBJECT.0);
    }
    let mut text = format!("machine={machine} page_shift={shift} owner={of}\n");
    for o in &objects {
        let (path, build_id, digest) = (hex(&o.path), hex(&o.build_id), hex(&o.digest.0));
        let Object { id, embedded, dev, ino, mode, seals, size, mtime_sec, mtime_nsec, .. } = o;
        let (kind, shm, huge) = (o.kind.0, o.shm.0, o.huge_page);
        writeln!(
            text,
            "object id={id} kind={kind} embedded={embedded} dev={dev} ino={ino} mode={mode} seals={seals} size={size} \
             mtime={mtime_sec}.{mtime_nsec} shm={shm} huge={huge} path={path} build_id={build_id} digest={digest}"
        )
        .unwrap();
    }
    for v in &vmas.vmas {
        let (start, end, backing, flags, name) = (v.start.0, v.end.0, v.backing.0, v.flags.0, hex(&v.name));
        let Vma { prot, object, offset, .. } = v;
        writeln!(
            text,
            "vma start={start} end={end} prot={prot} backing={backing} flags={flags} object={object} offset={offset} name={name}"
        )
        .unwrap();
    }
    Ok(text)
}

/// The template of each recorded set, and of the corpus of hostile ones.
fn recorded() -> Vec<Vec<u8>> {
    let template = |bytes: Vec<u8>| {
        let mut stream = Stream::new(&bytes[..]).ok()?;
        while stream.next().ok()?.is_some() {}
        let n = stream.offset() as usize;
        Some(bytes[..n].to_vec())
    };
    hostile::seeds().unwrap().into_iter().filter_map(|(_, bytes)| template(bytes)).collect()
}

fn write(header: &Header, objects: Option<&AnySection>, processes: &[(u64, Vmas)]) -> Vec<u8> {
    let mut w = Writer::new(Vec::new(), header).unwrap();
    if let Some(objects) = objects {
        w.any(0, objects).unwrap();
    }
    for (id, vmas) in processes {
        w.section(*id, vmas).unwrap();
    }
    w.finish().unwrap().0
}

prop_compose! {
    fn object()(
        numbers in any::<(u64, u64, u64, u64, i64, u64, u64)>(), words in any::<(u32, u32, u32)>(), kind in 0_u32..7,
        path in prop::collection::vec(any::<u8>(), 0..40), build_id in prop::collection::vec(any::<u8>(), 0..24),
        digest in any::<[u8; 32]>(), huge in 0_u32..64
    ) -> Object {
        let (id, dev, ino, size, mtime_sec, mtime_nsec, shm) = numbers;
        let (embedded, mode, seals) = (words.0 & 1, words.1, words.2);
        Object {
            id: id.max(1), kind: ObjectKind(kind), embedded, path: path.into(), dev, ino, mode, seals, size, mtime_sec, mtime_nsec,
            build_id: build_id.into(), digest: Raw(digest), shm: Addr(shm), huge_page: (1_u64 << huge) & !1,
        }
    }
}

prop_compose! {
    fn vma()(
        gap in 0_u64..4, pages in 1_u64..9, words in any::<(u32, u64, u64)>(), backing in 0_u32..5, object in any::<prop::sample::Index>(),
        name in prop::collection::vec(any::<u8>(), 0..20)
    ) -> (u64, u64, Vma, prop::sample::Index) {
        let vma = Vma { prot: words.0, backing: Backing(backing), flags: VmFlags(words.1), offset: words.2, name: name.into(), ..Vma::default() };
        (gap, pages, vma, object)
    }
}

prop_compose! {
    /// A valid template of one or several processes.
    fn template()(
        mut objects in prop::collection::vec(object(), 0..8), old in any::<bool>(), ia32 in any::<bool>(), shift in 12_u8..=16,
        processes in prop::collection::vec(prop::collection::vec(vma(), 0..12), 1..4), first in any::<u64>()
    ) -> (Vec<u8>, Vec<u64>) {
        objects.sort_by_key(|o| o.id);
        objects.dedup_by_key(|o| o.id);
        let mut all = Vec::new();
        for (i, ranges) in processes.into_iter().enumerate() {
            let mut vmas = Vec::new();
            let mut at = (first % 1000) << shift;
            for (gap, pages, mut vma, object) in ranges {
                vma.start = Addr(at + (gap << shift));
                vma.end = Addr(vma.start.0 + (pages << shift));
                at = vma.end.0;
                if objects.is_empty() {
                    vma.backing = Backing::ANONYMOUS;
                } else {
                    vma.object = object.get(&objects).id;
                }
                vmas.push(vma);
            }
            all.push((i as u64 + 1, Vmas { vmas: vmas.into() }));
        }
        let section = if old {
            let old = |o: &Object| v1::objects::Object {
                id: o.id, kind: o.kind, embedded: o.embedded, path: o.path.clone(), dev: o.dev, ino: o.ino, mode: o.mode, seals: o.seals,
                size: o.size, mtime_sec: o.mtime_sec, mtime_nsec: o.mtime_nsec, build_id: o.build_id.clone(), digest: o.digest, shm: o.shm,
            };
            AnySection::Old(OldSection::ObjectsV1(v1::objects::Objects { objects: objects.iter().map(old).collect() }))
        } else {
            AnySection::Objects(Objects { objects: objects.clone().into() })
        };
        let machine = if ia32 { EM_386 } else { EM_X86_64 };
        let header = Header::new(Profile::Frore, machine, shift, Raw([7; 16]));
        let bytes = write(&header, (!objects.is_empty()).then_some(&section), &all);
        (bytes, all.iter().map(|(id, _)| *id).collect())
    }
}

#[test]
fn templates_mean_the_same() {
    let mut reader = Reader::start();
    for bytes in recorded() {
        reader.compare(&bytes, 0).unwrap();
    }
    // proptest wants a function, not one that remembers.
    let reader = std::sync::Mutex::new(reader);
    proptest!(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }, |((bytes, ids) in template())| {
        let mut reader = reader.lock().unwrap();
        for id in ids.iter().copied().chain([0, 99]) {
            prop_assert_eq!(reader.compare(&bytes, id), Ok(()));
        }
        let whole = understand(&bytes, ids[0]);
        prop_assert!(whole.is_ok(), "{:?}", whole);
    });
}

/// With checksums, index and root made right, so that a lie gets behind the first check.
#[test]
fn mutants_are_judged_the_same() {
    let mut reader = Reader::start();
    let seed = Random::seed();
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let seeds = seeds();
    let mut rules = BTreeSet::new();
    for _ in 0..6000 {
        let mutant = mutant(&seeds, &mut random);
        rules.extend(understand(&mutant, 0).err());
        if let Err(why) = reader.compare(&mutant, 0) {
            std::fs::write(std::env::temp_dir().join("mutant.frore"), &mutant).unwrap();
            panic!("SEED={seed}, in $TMPDIR/mutant.frore: {why}");
        }
    }
    // A mutator that never got so far would prove nothing.
    let some = [Rule::PAYLOAD, Rule::VMA_ORDER, Rule::VMA_ALIGN, Rule::MISPLACED, Rule::TWICE, Rule::OBJECT_ORDER];
    assert!(some.iter().all(|r| rules.contains(&r.0)), "SEED={seed}: only rules {rules:?} were broken");
}

/// Small ones that break in many places, and the recorded ones.
fn seeds() -> Vec<Vec<u8>> {
    let mut all = recorded();
    all.extend(vec![small(); all.len()]);
    all
}

/// One with two objects and three ranges.
fn small() -> Vec<u8> {
    let header = Header::new(Profile::Frore, EM_X86_64, 12, Raw([7; 16]));
    let object = |id| Object { id, path: "/bin/true".into(), build_id: vec![1, 2].into(), ..Object::default() };
    let vma = |n: u64, backing, object| Vma {
        start: Addr(n << 16),
        end: Addr((n << 16) + 0x4000),
        prot: 3,
        backing,
        object,
        name: "[heap]".into(),
        ..Vma::default()
    };
    let vmas = vec![vma(1, Backing::ANONYMOUS, 0), vma(2, Backing::PRIVATE_FILE, 3), vma(3, Backing::SHARED, 4)];
    let objects = AnySection::Objects(Objects { objects: vec![object(3), object(4)].into() });
    write(&header, Some(&objects), &[(1, Vmas { vmas: vmas.into() })])
}

/// What breaks a rule: a change of what is mended afterwards, and one of bytes that are not.
type Breaks = (u16, fn(&mut Set), fn(&mut Vec<u8>));

/// Each rule that the reader checks, and some of them in several ways. OBJS is the first chunk, VMAS the second.
const BREAKS: [Breaks; 53] = [
    (1, |_| (), |b| b[6] = 0),
    (2, |_| (), |b| b[60] ^= 1),
    (3, |s| s.files[0].header[9] = 4, |_| ()),
    (4, |s| s.files[0].header[12] = 2, |_| ()),
    (5, |s| s.files[0].header[23] = 0x80, |_| ()),
    (6, |s| s.files[0].header[0x31] = 1, |_| ()),
    (7, |s| s.files[0].header[10] = 183, |_| ()),
    (8, |s| s.files[0].header[0x30] = 17, |_| ()),
    (8, |s| s.files[0].header[0x30] = 11, |_| ()),
    (10, |_| (), |b| b[FIRST + 44] ^= 1),
    (11, |_| (), |b| put(b, FIRST, 36, &[1])),
    (11, |s| s.files[0].chunks[0].flags = ChunkFlags(1 << 12 | 1), |_| ()),
    (12, |_| (), |b| b[FIRST + CHUNK] ^= 1),
    (13, |s| s.files[0].chunks.insert(0, chunk(*b"new.", ChunkFlags::NONE, &[1])), |b| b[FIRST + CHUNK + 1] = 1),
    (14, |_| (), |b| put(b, FIRST, 16, &[&TOO_LONG[..], &TOO_LONG].concat())),
    (15, |_| (), |b| put(b, FIRST, 24, &TOO_LONG)),
    (15, |s| s.files[0].chunks[0].flags = ChunkFlags(ChunkFlags::ZSTD.0 | 1), |_| ()),
    (16, |s| s.files[0].chunks.push(chunk(*b"NEW!", ChunkFlags::CRITICAL, &[])), |_| ()),
    (17, |s| s.files[0].chunks[0].version = 9, |_| ()),
    (17, |s| s.files[0].chunks[1].version = 0, |_| ()),
    (18, |s| s.files[0].chunks.push(chunk(*b"THRD", ChunkFlags::CRITICAL, &[])), |_| ()),
    (19, |_| (), |b| b.truncate(0)),
    (19, |_| (), |b| b.truncate(FIRST - 1)),
    (19, |_| (), |b| b.truncate(FIRST + CHUNK - 1)),
    (19, |_| (), |b| b.truncate(FIRST + CHUNK + 1)),
    (19, |_| (), |b| b.truncate(b.len() - 1)),
    (
        20,
        |_| (),
        |b| {
            let end = b.len() - FOOTER_LEN - 40;
            b[end + 32] += 1;
            let crc = crc32c::crc32c(&b[end..end + 40]).to_le_bytes();
            put(b, end - CHUNK, 32, &crc);
        },
    ),
    (
        22,
        |_| (),
        |b| {
            let foot = b.len() - FOOTER_LEN;
            b[foot] ^= 1;
        },
    ),
    (
        22,
        |_| (),
        |b| {
            let foot = b.len() - FOOTER_LEN;
            b[foot + 8] += 8;
            let crc = crc32c::crc32c(&b[foot..foot + FOOTER_LEN - 4]).to_le_bytes();
            b[foot + FOOTER_LEN - 4..].copy_from_slice(&crc);
        },
    ),
    (23, |_| (), |b| b.push(0)),
    (25, |s| s.files[0].chunks.push(chunk(*b"PAD ", ChunkFlags::NONE, &[1])), |_| ()),
    (26, |s| s.files[0].chunks[0].flags = ChunkFlags::NONE, |_| ()),
    (27, |s| again(s, 0), |_| ()),
    (27, |s| again(s, 1), |_| ()),
    (30, |s| s.files[0].chunks[0].payload.push(0), |_| ()),
    (30, |s| s.files[0].chunks[1].payload.truncate(60), |_| ()),
    (30, |s| s.files[0].chunks[1].payload[7] = 0x80, |_| ()),
    (32, |s| s.files[0].chunks[0].payload[20] = 2, |_| ()),
    (40, |s| with_vmas(s, |all| all[1].start = all[0].start), |_| ()),
    (40, |s| with_vmas(s, |all| all[0].end = all[0].start), |_| ()),
    (40, |s| with_vmas(s, |all| all.swap(0, 1)), |_| ()),
    (41, |s| with_vmas(s, |all| all[0].end.0 += 1), |_| ()),
    (41, |s| s.files[0].header[0x30] = 16, |_| ()),
    (50, |s| with_objects(s, |all| all.swap(0, 1)), |_| ()),
    (50, |s| with_objects(s, |all| all[0].id = 0), |_| ()),
    (50, |s| with_objects(s, |all| all[1].id = all[0].id), |_| ()),
    (51, |s| with_vmas(s, |all| all[1].object = 9), |_| ()),
    (51, |s| with_vmas(s, |all| all[2].object = 0), |_| ()),
    (56, |s| s.files[0].chunks[0].owner = 1, |_| ()),
    (56, |s| s.files[0].chunks[1].owner = 0, |_| ()),
    (PROFILE, |s| s.files[0].header[9] = 1, |_| ()),
    (NONE, |s| s.files[0].chunks.truncate(1), |_| ()),
    (
        WHICH,
        |s| {
            again(s, 1);
            s.files[0].chunks[2].owner = 2;
        },
        |_| (),
    ),
];

/// Where the first chunk begins, and the length of the head of each.
const FIRST: usize = HEADER_LEN;
const CHUNK: usize = CHUNK_HEADER_LEN;
/// More than a payload may have.
const TOO_LONG: [u8; 8] = ((16_u64 << 20) + 1).to_le_bytes();

/// Changes the head of the chunk that begins at `head`, and mends its checksum.
fn put(b: &mut [u8], head: usize, at: usize, what: &[u8]) {
    b[head + at..head + at + what.len()].copy_from_slice(what);
    let crc = crc32c::crc32c(&b[head..head + CHUNK - 4]).to_le_bytes();
    b[head + CHUNK - 4..head + CHUNK].copy_from_slice(&crc);
}

fn chunk(kind: [u8; 4], flags: ChunkFlags, payload: &[u8]) -> Chunk {
    Chunk { kind: Kind(kind), version: 1, flags, owner: 0, payload: payload.to_vec(), raw: None, digest: false }
}

fn again(s: &mut Set, at: usize) {
    let copy = s.files[0].chunks[at].clone();
    s.files[0].chunks.push(copy);
}

fn with_vmas(s: &mut Set, change: fn(&mut Vec<Vma>)) {
    s.edit(|section: &mut Vmas| {
        let mut all: Vec<Vma> = section.vmas.iter().cloned().collect();
        change(&mut all);
        section.vmas = all.into();
    })
    .unwrap();
}

fn with_objects(s: &mut Set, change: fn(&mut Vec<Object>)) {
    s.edit(|section: &mut Objects| {
        let mut all: Vec<Object> = section.objects.iter().cloned().collect();
        change(&mut all);
        section.objects = all.into();
    })
    .unwrap();
}

/// A template that breaks one rule, for each that README.md says the reader checks; with checksums, index and root made right, as far as they are not what is broken.
#[test]
fn each_rule_is_judged_the_same() {
    let mut reader = Reader::start();
    let mut met = BTreeSet::new();
    for (i, (rule, change, raw)) in BREAKS.iter().enumerate() {
        let mut set = Set::read(&small());
        assert_eq!(set.files[0].chunks.len(), 2);
        change(&mut set);
        let mut bytes = set.bytes();
        raw(&mut bytes);
        assert_eq!(understand(&bytes, 0), Err(*rule), "way {i} to break rule {rule}");
        assert_eq!(reader.compare(&bytes, 0), Ok(()), "way {i} to break rule {rule}");
        met.insert(*rule);
    }
    let checked = (1..=8).chain(10..=20).chain([22, 23, 25, 26, 27, 30, 32, 40, 41, 50, 51, 56, PROFILE, NONE, WHICH]);
    assert_eq!(met, checked.collect());
}

/// A few seconds of mutants under AddressSanitizer; CRYO_FUZZ makes them more.
#[test]
fn mutants_are_borne() {
    let dir = tempfile::tempdir().unwrap();
    let seconds = std::env::var("CRYO_FUZZ").unwrap_or_else(|_| "4".into());
    let seed = Random::seed();
    println!("SEED={seed}");
    let mut run = Command::new(compile(dir.path()));
    run.arg(&seconds).env("SEED", seed.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = run.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for bytes in seeds().iter().filter(|b| b.len() < 1 << 16).take(60) {
        let head = [(bytes.len() as u64).to_le_bytes(), 1_u64.to_le_bytes()].concat();
        input.write_all(&[&head, &bytes[..]].concat()).unwrap();
    }
    drop(input);
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "SEED={seed}: {said}{}", String::from_utf8_lossy(&done.stderr));
    println!("{said}");
    let good: u64 = said.split(' ').nth(2).unwrap().parse().unwrap();
    assert!(good > 0, "{said}: no mutant got behind the checksums");
}
