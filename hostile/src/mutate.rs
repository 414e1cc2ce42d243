//! Lies: a set with something changed, and all that can be computed made right again, or not.

use cryo_format::section::SECTIONS;
use cryo_format::{Kind, chunk::ChunkFlags};

use crate::absurd::absurd;
use crate::random::Random;
use crate::set::{Chunk, Set};

/// Numbers that lengths, addresses and counts go wrong at.
const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    7,
    0xff,
    0xfff,
    0x1000,
    0xffff_ffff,
    1 << 20,
    3 << 30,
    1 << 46,
    1 << 47,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - 4095,
    u64::MAX,
];

/// Text that steers a terminal.
const TEXT: &[u8] = b"\x1b]0;x\x07\x1b[2J\xe2\x80\xae\xff\n";

/// A mutant of one of the seeds.
pub fn mutant(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let Some(seed) = random.of(seeds) else { return Vec::new() };
    if random.once_in(64) {
        return absurd(seed, random);
    }
    let mut set = Set::read(seed);
    let other = if random.once_in(8) { random.of(seeds).map(|s| Set::read(s)) } else { None };
    for _ in 0..=random.below(4) {
        change(&mut set, other.as_ref(), random);
    }
    let mut bytes = if random.once_in(16) { seed.clone() } else { set.bytes() };
    if random.once_in(8) {
        raw(&mut bytes, random);
    }
    bytes
}

/// A mutant of the first `size` bytes of `data` in their place, as libFuzzer wants it; gives its length, `most` at most.
pub fn in_place(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let Some(old) = data.get(..size) else { return size };
    let new = mutant(&[old.to_vec()], &mut Random::new(seed.into()));
    let n = new.len().min(most).min(data.len());
    data[..n].copy_from_slice(&new[..n]);
    n
}

/// Changes one thing, behind all checksums.
pub fn change(set: &mut Set, other: Option<&Set>, random: &mut Random) {
    let count = set.files.len();
    let chosen = random.below(count);
    let Some(file) = set.files.get_mut(chosen) else { return };
    if random.once_in(32) {
        // Machine, version, feature bits, set id, page shift; not the magic.
        file.header[9 + random.below(51)] = random.word() as u8;
        return;
    }
    let n = file.chunks.len();
    let at = random.below(n);
    if n == 0 {
        return;
    }
    match random.below(13) {
        12 if file.chunks[at].kind == Kind::DATA => compressed(&mut file.chunks[at], random),
        0 => drop(file.chunks.remove(at)),
        1 => {
            let copy = file.chunks[at].clone();
            // Doubles of what is large are no news.
            let copies = if copy.payload.len() < 1024 { 1 + random.below(50) } else { 1 };
            let place = random.below(n + 1);
            file.chunks.splice(place..place, std::iter::repeat_n(copy, copies));
        }
        2 => file.chunks.swap(at, random.below(n)),
        3 => head(&mut file.chunks[at], random),
        4 => {
            let from = other.and_then(|o| random.of(&o.files)).and_then(|f| random.of(&f.chunks)).cloned();
            let from = from.unwrap_or_else(|| file.chunks[random.below(n)].clone());
            file.chunks[at].payload = from.payload;
        }
        5 => {
            let chunk = file.chunks.remove(at);
            let to = random.below(count);
            if let Some(file) = set.files.get_mut(to) {
                file.chunks.insert(random.below(file.chunks.len() + 1), chunk);
            }
        }
        _ => payload(&mut file.chunks[at], random),
    }
}

/// Pages that are compressed, or were, or say that they are more.
fn compressed(chunk: &mut Chunk, random: &mut Random) {
    chunk.compress();
    match random.below(4) {
        0 => {}
        1 => chunk.raw = Some(NUMBERS[random.below(NUMBERS.len())]),
        2 => chunk.flags = ChunkFlags(chunk.flags.0 ^ ChunkFlags::ZSTD.0),
        _ => raw(&mut chunk.payload, random),
    }
}

fn head(chunk: &mut Chunk, random: &mut Random) {
    match random.below(5) {
        0 => chunk.owner = NUMBERS[random.below(NUMBERS.len())],
        1 => chunk.owner = random.below(12) as u64,
        2 => chunk.version = random.below(4) as u16,
        3 => chunk.flags = ChunkFlags(random.below(4) as u16),
        _ => {
            let Some(info) = random.of(SECTIONS) else { return };
            (chunk.kind, chunk.version, chunk.flags) = (info.kind, info.version, info.flags);
        }
    }
}

fn payload(chunk: &mut Chunk, random: &mut Random) {
    let bytes = &mut chunk.payload;
    // A DATA chunk of another length is refused at once.
    let fixed = chunk.kind == Kind::DATA;
    chunk.digest = !random.once_in(4);
    let len = bytes.len();
    match random.below(if fixed { 3 } else { 8 }) {
        0 if len > 0 => bytes[random.below(len)] ^= 1 << random.below(8),
        1 if len >= 8 => {
            // Fields are aligned to four bytes, or stand behind text.
            let at = if random.once_in(4) { random.below(len - 7) } else { random.below((len - 7).div_ceil(4)) * 4 };
            let at = at.min(len - 8);
            let old = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
            let new = match random.below(4) {
                0 => old.wrapping_add(1),
                1 => old.wrapping_sub(1),
                2 => old << random.below(32),
                _ => NUMBERS[random.below(NUMBERS.len())],
            };
            bytes[at..at + 8].copy_from_slice(&new.to_le_bytes());
        }
        2 if len >= 4 => {
            let at = random.below(len / 4) * 4;
            bytes[at..at + 4].copy_from_slice(&(NUMBERS[random.below(NUMBERS.len())] as u32).to_le_bytes());
        }
        3 => bytes.truncate(random.below(len + 1)),
        4 => bytes.resize(len + 1 + random.below(64), random.word() as u8),
        5 if len > 0 => {
            // A part once more, or many times: entries of a list.
            let (a, b) = (random.below(len), random.below(len));
            let part = bytes[a.min(b)..=a.max(b)].to_vec();
            let times = if part.len() < 256 { 1 + random.below(200) } else { 1 };
            let place = random.below(len);
            bytes.splice(place..place, part.repeat(times));
            count(bytes, random);
        }
        6 if len > TEXT.len() => {
            let at = random.below(len - TEXT.len());
            bytes[at..at + TEXT.len()].copy_from_slice(TEXT);
        }
        _ => count(bytes, random),
    }
}

/// A small number where a list's count often is.
fn count(bytes: &mut [u8], random: &mut Random) {
    if let Some(field) = bytes.get_mut(..8) {
        field.copy_from_slice(&(random.below(300) as u64).to_le_bytes());
    }
}

/// Damage that nothing mends.
pub fn raw(bytes: &mut Vec<u8>, random: &mut Random) {
    let len = bytes.len();
    if len == 0 {
        return;
    }
    match random.below(4) {
        0 => bytes.truncate(random.below(len)),
        1 => {
            for _ in 0..=random.below(8) {
                bytes[random.below(len)] ^= 1 << random.below(8);
            }
        }
        2 => {
            let at = random.below(len);
            bytes.drain(at..(at + 1 + random.below(200)).min(len));
        }
        _ => {
            let part = bytes[random.below(len)..].to_vec();
            bytes.extend_from_slice(&part[..part.len().min(4096)]);
        }
    }
}
