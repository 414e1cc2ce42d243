//! What breaks each rule, and more ways to break some: changes to the good set.
#![allow(dead_code, clippy::panic)] // every test file uses its part

use cryo_format::rules::Rule;

use super::synth::{self, CRITICAL, SAFE_TO_COPY, Set, ZSTD, b, chunk, extent, extents, list, object, vma, zstd_frame};

/// Makes `s` break the rule.
#[allow(clippy::too_many_lines)] // one line a rule
pub fn break_rule(rule: Rule, s: &mut Set) {
    match rule {
        Rule::MAGIC => s.frost.magic[6] = 0x0d,
        Rule::HEADER_CHECKSUM => s.frost.header_crc = 1,
        Rule::PROFILE => s.frost.profile = 4,
        Rule::MAJOR => s.frost.major = 2,
        Rule::INCOMPAT => s.frost.incompat = 1 << 63,
        Rule::HEADER_RESERVED => s.frost.reserved = 1,
        Rule::MACHINE => s.frost.machine = 183,
        Rule::PAGE_SHIFT => s.frost.page_shift = 17,

        Rule::CHUNK_CHECKSUM => s.frost.chunk(b"SIGA").header_crc = 1 << 31,
        Rule::CHUNK_RESERVED => s.frost.chunk(b"SIGA").reserved = 1,
        Rule::PAYLOAD_CHECKSUM => s.freeze.chunk(b"DATA").crc = 1,
        Rule::PADDING => s.frost.chunk(b"THRD").pad_byte = 1,
        Rule::CHUNK_LIMIT => s.frost.chunk(b"SIGA").stored = Some((16 << 20) + 1),
        Rule::CODEC => s.frost.chunk(b"SIGA").flags |= 1 << 8,
        Rule::CRITICAL => s.frost.chunks.push(chunk(b"NEW!", CRITICAL, 1, b())),
        Rule::VERSION => s.frost.chunk(b"SIGA").version = 2,
        Rule::MISPLACED => s.freeze.chunks.push(chunk(b"NOTE", SAFE_TO_COPY, 0, list(&[]))),
        Rule::TRUNCATED => s.freeze.cut = true,
        Rule::END_COUNT => s.frost.end = |p| p[32] += 1,
        Rule::ROOT => s.frost.end = |p| p[0] ^= 1,
        Rule::FOOTER => s.frost.footer = |p| p[8] += 8,
        Rule::TRAILING => s.frost.trailing = vec![0],
        Rule::INDEX => s.frost.index = |p| p[20] ^= 1,
        Rule::PAD_ZERO => s.frost.chunks.push(chunk(b"PAD ", 0, 0, b().u64(1))),
        Rule::FLAGS => s.frost.chunk(b"SIGA").flags = SAFE_TO_COPY,
        Rule::TWICE => s.frost.chunks.push(s.frost.chunks[2].clone()),

        Rule::PAYLOAD => s.frost.chunk(b"SIGA").payload.push(0),
        Rule::RESERVED => s.frost.chunk(b"FILE").payload = synth::open_file(1, 4).0,
        Rule::VALUE => s.frore.chunk(b"OBJS").payload = list(&[object(3, 0), object(4, 2)]).0,

        Rule::VMA_ORDER => {
            s.frore.chunk(b"VMAS").payload = list(&[vma(0x10000, 0x21000, 0, 0), vma(0x20000, 0x22000, 0, 0)]).0;
        }
        Rule::VMA_ALIGN => s.frore.chunk(b"VMAS").payload = list(&[vma(0x10000, 0x20fff, 0, 0)]).0,
        Rule::EXTENT_ORDER => s.freeze.chunks.push(extents(1, 0, [0; 32], &[extent(0x12000, 1, 0, 0)])),
        Rule::EXTENT_ALIGN => s.freeze.chunks.push(extents(1, 0, [0; 32], &[extent(0x20e00, 1, 0, 0)])),
        Rule::DATA_FOLLOWS => s.freeze.chunk(b"DATA").owner = 2,
        Rule::EXTENT_REFERENCE => s.freeze.chunks.push(extents(4, 0, [0; 32], &[extent(0x1000, 1, 1, 0)])),
        Rule::DIGEST => s.freeze.chunk(b"EXTS").payload[0] ^= 1,
        Rule::DATA_ALIGN => s.freeze.misalign = 8,
        Rule::EXTENT_PLACE => s.freeze.chunks.push(extents(1, 0, [0; 32], &[extent(0x30000, 1, 0, 0)])),

        Rule::OBJECT_ORDER => s.frore.chunk(b"OBJS").payload = list(&[object(4, 1), object(3, 0)]).0,
        Rule::VMA_OBJECT => s.frore.chunk(b"VMAS").payload = list(&[vma(0x10000, 0x21000, 1, 8)]).0,
        Rule::EXE_OBJECT => s.frore.chunk(b"MM  ").payload = synth::mm(8).0,
        Rule::THREAD_PROCESS => s.frost.chunk(b"THRD").payload = synth::thread(8).0,
        Rule::DESCRIPTOR => s.frost.chunk(b"FDTB").payload = list(&[synth::descriptor(0, 8)]).0,
        Rule::FILE_OBJECT => s.frost.chunk(b"FILE").payload = synth::open_file(0, 8).0,
        Rule::OWNER => s.frost.chunk(b"SIGP").owner = 8,
        Rule::LOCAL_ID => s.frore.chunk(b"OBJS").payload = list(&[object(2, 0), object(3, 0), object(4, 1)]).0,
        Rule::REGISTERS => s.freeze.chunks.retain(|c| &c.kind != b"RX64"),
        Rule::EMBEDDED => s.frore.chunk(b"OBJS").payload = list(&[object(3, 0), object(4, 0)]).0,

        Rule::SIGNAL => s.frost.chunk(b"SIGA").payload = list(&[synth::action(65)]).0,
        Rule::SIGINFO => s.frost.chunk(b"SIGP").payload = list(&[b().string(&[9; 127])]).0,
        Rule::XSTATE => s.freeze.chunk(b"XSTA").payload = synth::xstate(&[2], 831).0,
        Rule::SORTED => s.frore.chunk(b"CPU ").payload = synth::cpu(&["sse", "avx"]).0,
        Rule::RESTART => s.freeze.chunks.push(chunk(b"SYSC", CRITICAL, 2, synth::syscall(90, 0, 516))),

        Rule::NAMED => s.frore.chunks.push(attributes(&[9])),

        Rule::SET_ID => s.frost.set = [8; 16],
        Rule::LINK_ROOT => s.link = |p| p[16] ^= 1,
        Rule::LINK => s.freeze.chunks.retain(|c| &c.kind != b"LINK"),
        Rule::PARENT => s.freeze.chunks.push(extents(4, 0, [0; 32], &[extent(0x1000, 1, 3, 0)])),
        Rule::SAME_MACHINE => s.frost.machine = 3,
        other => panic!("no vector for {other}: add one"),
    }
}

/// The good set's pages, compressed, and the frame made wrong.
fn compress(s: &mut Set, wrong: fn(&mut Vec<u8>)) {
    let mut frame = zstd_frame(6, 8192, 8192);
    wrong(&mut frame);
    s.compress(frame);
}

/// A rule, and what breaks it.
pub type Vector = (Rule, fn(&mut Set));

/// More ways to break some of the rules.
pub fn variants() -> &'static [Vector] {
    &[
        (Rule::CODEC, |s| s.frost.chunk(b"SIGA").raw = Some(7)),
        (Rule::EXTENT_REFERENCE, |s| s.freeze.chunks.push(extents(4, 0, [0; 32], &[extent(0x1000, 1, 3, 1)]))),
        (Rule::SORTED, |s| s.freeze.chunks.push(synth::parent(1, &[(4, 1), (1, 4)]))),
        (Rule::VALUE, |s| s.freeze.chunks.push(synth::parent(0, &[]))),
        (Rule::VALUE, |s| s.freeze.chunks.push(synth::parent(65, &[]))),
        // Only DATA may be compressed; and by nothing but zstd.
        (Rule::CODEC, |s| s.frost.chunk(b"SIGA").flags |= ZSTD),
        (Rule::CODEC, |s| s.freeze.chunk(b"DATA").flags |= 0x0200),
        // One frame, whole, that announces what the chunk does, and gives it.
        (Rule::CODEC, |s| compress(s, |frame| frame.truncate(frame.len() - 1))),
        (Rule::CODEC, |s| compress(s, |frame| frame.push(0))),
        (Rule::CODEC, |s| compress(s, |frame| frame.extend(frame.clone()))),
        (Rule::CODEC, |s| compress(s, |frame| frame.extend([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]))),
        (Rule::CODEC, |s| compress(s, |frame| frame[0] ^= 1)),
        (Rule::CODEC, |s| s.freeze.chunk(b"DATA").flags |= ZSTD),
        // It announces a little, and would give a lot.
        (Rule::CODEC, |s| s.compress(zstd_frame(6, 128 << 10, 8192))),
        (Rule::CODEC, |s| s.compress(zstd_frame(6, 4096, 8192))),
        (Rule::CODEC, |s| s.compress(zstd_frame(6, 16384, 16384))),
        (Rule::DIGEST, |s| s.compress(zstd_frame(7, 8192, 8192))),
        (Rule::DATA_FOLLOWS, |s| {
            compress(s, |_| {});
            s.freeze.chunk(b"DATA").raw = Some(4096);
        }),
        (Rule::CHUNK_LIMIT, |s| {
            compress(s, |_| {});
            s.freeze.chunk(b"DATA").raw = Some((1 << 20) + 4096);
        }),
        (Rule::CHUNK_LIMIT, |s| s.frost.chunk(b"SIGA").stored = Some(u64::MAX)),
        (Rule::CHUNK_LIMIT, |s| s.freeze.chunk(b"DATA").stored = Some((1 << 20) + 4096)),
        (Rule::CHUNK_RESERVED, |s| s.frost.chunk(b"SIGA").flags |= 4),
        (Rule::VERSION, |s| {
            // Clearing the flag does not make a known critical section optional.
            s.frost.chunk(b"SIGA").version = 2;
            s.frost.chunk(b"SIGA").flags = 0;
        }),
        (Rule::VALUE, |s| s.frost.chunks.push(queue(2))),
        (Rule::VALUE, |s| s.frost.chunks.push(removed(0o100_600, 0))),
        (Rule::VALUE, |s| s.frost.chunks.push(removed(0o120_777, 1))),
        (Rule::VALUE, |s| s.frost.chunks.push(sem_undo(&[(1, 0, 0)]))),
        (Rule::VALUE, |s| s.frost.chunks.push(sem_undo(&[(1, 0, 32768)]))),
        (Rule::SORTED, |s| s.frost.chunks.push(sem_undo(&[(1, 1, 1), (1, 0, 1)]))),
        (Rule::SORTED, |s| s.frore.chunks.push(attributes(&[4, 4]))),
        (Rule::VALUE, |s| s.frost.chunks.push(ancillary(&[(0, 0, &[])]))),
        (Rule::VALUE, |s| s.frost.chunks.push(ancillary(&[(0, 1, &[5; 254])]))),
        (Rule::DESCRIPTOR, |s| s.frost.chunks.push(ancillary(&[(0, 1, &[5, 0])]))),
        (Rule::SORTED, |s| s.frost.chunks.push(ancillary(&[(1, 1, &[5]), (1, 1, &[5])]))),
        (Rule::NAMED, |s| s.frost.chunks.push(ancillary(&[(0, 1, &[99])]))),
        (Rule::NAMED, |s| s.frost.chunks.push(of(77, chunk(b"PEND", CRITICAL, 1, b().u64(888).u64(0))))),
        (Rule::NAMED, |s| s.frost.chunks.push(of(77, chunk(b"PIDF", CRITICAL, 1, b().u64(0).u64(888))))),
        // Two versions of a kind: each is read as what it is.
        (Rule::VERSION, |s| s.frost.chunk(b"THRD").version = 3),
        (Rule::PAYLOAD, |s| s.frost.chunk(b"THRD").version = 2),
        (Rule::PAYLOAD, |s| replace(s, synth::thread2(1, [0; 4]), |c| c.version = 1)),
        (Rule::PAYLOAD, |s| s.frore.chunk(b"MM  ").version = 2),
        (Rule::EXE_OBJECT, |s| *s.frore.chunk(b"MM  ") = synth::mm2(8)),
        (Rule::THREAD_PROCESS, |s| replace(s, synth::thread2(8, [0; 4]), |_| ())),
        (Rule::RESERVED, |s| replace(s, synth::thread2(1, [0, 0, 0, 1]), |_| ())),
        (Rule::TWICE, |s| replace(s, synth::thread2(1, [0; 4]), |c| c.owner = 2)),
        (Rule::PAYLOAD, |s| s.frost.chunk(b"SIGA").payload = b().u64(u64::MAX).0),
        (Rule::PAYLOAD, |s| s.frost.chunk(b"SIGA").payload = b().u64(1 << 40).u64s(100).0),
        (Rule::PAYLOAD, |s| s.frost.chunk(b"NOTE").payload = b().u64(1).u64(u64::MAX).u64s(2).0),
        (Rule::EXTENT_ORDER, |s| s.freeze.chunks.push(extents(1, 0, [0; 32], &[extent(0x30000, u64::MAX, 0, 0)]))),
        (Rule::EXTENT_ORDER, |s| s.freeze.chunks.push(extents(1, 0, [0; 32], &[extent(0x30000, 0, 0, 0)]))),
        (Rule::EXTENT_REFERENCE, |s| s.freeze.chunks.push(extents(1, 0, [0; 32], &[extent(0x30000, 1, 0, 1)]))),
        (Rule::VALUE, |s| s.freeze.chunks.push(extents(1, 0, [0; 32], &[extent(0x30000, 1, 9, 0)]))),
        (Rule::CHUNK_LIMIT, |s| s.freeze.chunks.push(extents(1, 257, [0; 32], &[]))),
        (Rule::DATA_FOLLOWS, |s| s.freeze.chunks.push(extents(1, 1, [0; 32], &[]))),
        (Rule::OWNER, |s| s.freeze.chunks.push(extents(8, 0, [0; 32], &[extent(0, 1, 0, 0)]))),
        (Rule::OWNER, |s| s.frore.chunk(b"CPU ").owner = 1),
        (Rule::EXTENT_PLACE, |s| s.freeze.chunks.push(extents(4, 0, [0; 32], &[extent(0x1000, 1, 0, 0)]))),
        (Rule::SIGNAL, |s| s.frost.chunk(b"SIGA").payload = list(&[synth::action(3), synth::action(3)]).0),
        (Rule::XSTATE, |s| s.freeze.chunk(b"XSTA").payload = synth::xstate(&[3, 2], 832).0),
        (Rule::XSTATE, |s| s.freeze.chunk(b"XSTA").payload = synth::xstate(&[], 511).0),
        (Rule::RESERVED, |s| s.freeze.chunks.push(tls(&[(12, 128)]))),
        (Rule::SORTED, |s| s.freeze.chunks.push(tls(&[(13, 1), (12, 1)]))),
        (Rule::RESTART, |s| s.freeze.chunks.push(chunk(b"SYSC", CRITICAL, 2, synth::syscall(202, 129, 516)))),
        (Rule::RESTART, |s| s.freeze.chunks.push(chunk(b"SYSC", CRITICAL, 2, synth::syscall(219, 0, 516)))),
        // By its number on x86-64 it would be one.
        (Rule::RESTART, |s| s.freeze.chunks.push(chunk(b"SI32", CRITICAL, 2, synth::syscall_i386(35, 0, 516)))),
        (Rule::RESTART, |s| s.freeze.chunks.push(chunk(b"SI32", CRITICAL, 2, synth::syscall_i386(422, 129, 516)))),
        (Rule::RESERVED, |s| s.frost.chunk(b"SIGA").payload[12] = 1),
        (Rule::RESERVED, |s| s.freeze.chunk(b"EXTS").payload[68] = 1),
        (Rule::FOOTER, |s| s.frost.footer = |p| p[24] = 1),
        (Rule::FOOTER, |s| s.frost.footer = |p| p[0] = 0),
        (Rule::INDEX, |s| s.frost.index = |p| p[0] = 8),
        (Rule::INDEX, |s| s.frost.no_index = true),
        (Rule::OWNER, |s| s.frost.chunks.push(chunk(b"PAD ", 0, 1, b()))),
        (Rule::LINK_ROOT, |s| s.link = |p| p[48] ^= 1),
        (Rule::LINK_ROOT, |s| s.link = |p| p[0] ^= 1),
        (Rule::MISPLACED, |s| std::mem::swap(&mut s.frost.chunks, &mut s.frore.chunks)),
        (Rule::REGISTERS, |s| {
            for file in [&mut s.frore, &mut s.frost, &mut s.freeze] {
                file.machine = 3;
            }
        }),
    ]
}

fn of(owner: u64, mut section: synth::Chunk) -> synth::Chunk {
    section.owner = owner;
    section
}

fn queue(unlinked: u32) -> synth::Chunk {
    let payload = b().string(b"/q").u64s(5).u32(0o600).u32(unlinked).u64(0);
    chunk(b"MQUE", CRITICAL, 5, payload)
}

fn removed(mode: u32, cwd: u32) -> synth::Chunk {
    let payload = b().string(b"/was").string(b"").u64s(2).u32(mode).u32(0).u32(0).u32(cwd);
    chunk(b"RMVD", CRITICAL, 5, payload)
}

/// Set, number, adjustment.
fn sem_undo(adjustments: &[(u32, u32, u32)]) -> synth::Chunk {
    let all: Vec<_> = adjustments.iter().map(|(set, n, adjust)| b().u32(*set).u32(7).u32(*n).u32(*adjust)).collect();
    chunk(b"SEMU", CRITICAL, 1, list(&all))
}

/// Place, pid, descriptions.
fn ancillary(messages: &[(u64, u64, &[u64])]) -> synth::Chunk {
    let message = |(at, pid, descriptions): &(u64, u64, &[u64])| {
        let start = b().u64(*at).u64(0).u64(*pid).u32(0).u32(0).u64(descriptions.len() as u64);
        descriptions.iter().fold(start, |bytes, id| bytes.u64(*id))
    };
    chunk(b"ANCL", CRITICAL, 5, list(&messages.iter().map(message).collect::<Vec<_>>()))
}

fn attributes(objects: &[u64]) -> synth::Chunk {
    let all: Vec<_> = objects.iter().map(|object| b().u64(*object).u32(0).u32(0).u64(0).u64(0).u64(0)).collect();
    chunk(b"ATTR", CRITICAL, 0, list(&all))
}

/// Another one in the place of the thread of version 2.
fn replace(s: &mut Set, mut thread: synth::Chunk, change: fn(&mut synth::Chunk)) {
    change(&mut thread);
    s.frost.chunks.retain(|c| (&c.kind, c.version) != (b"THRD", 2));
    s.frost.chunks.push(thread);
}

fn tls(entries: &[(u32, u32)]) -> synth::Chunk {
    let entries: Vec<_> = entries.iter().map(|(entry, flags)| b().u32(*entry).u32(0).u32(0).u32(*flags)).collect();
    chunk(b"TLSE", CRITICAL, 2, list(&entries))
}
