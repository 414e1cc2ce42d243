//! Builds files byte by byte, without the crate's layouts: what is wrong in one of the two shows as a difference.
#![allow(dead_code)] // every test file uses its part
#![allow(clippy::trivially_copy_pass_by_ref, clippy::expect_used)] // `b"DATA"` reads well; test code

/// crc32c, bit by bit.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for b in bytes {
        crc ^= u32::from(*b);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

/// Little-endian fields, one behind the other.
#[derive(Default, Clone)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    pub fn u16(mut self, v: u16) -> Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    pub fn u32(mut self, v: u32) -> Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    pub fn u64(mut self, v: u64) -> Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    pub fn u64s(self, n: usize) -> Self {
        self.raw(&vec![0; 8 * n])
    }
    pub fn raw(mut self, v: &[u8]) -> Self {
        self.0.extend(v);
        self
    }
    pub fn string(self, v: &[u8]) -> Self {
        self.u64(v.len() as u64).raw(v)
    }
}

pub const CRITICAL: u16 = 1;
pub const SAFE_TO_COPY: u16 = 2;

/// A chunk that can be wrong in every way.
#[derive(Clone)]
pub struct Chunk {
    pub kind: [u8; 4],
    pub version: u16,
    pub flags: u16,
    pub owner: u64,
    pub payload: Vec<u8>,
    /// Instead of the payload's length.
    pub stored: Option<u64>,
    pub raw: Option<u64>,
    /// Xored into the right checksum of the payload.
    pub crc: u32,
    pub reserved: u64,
    pub header_crc: u32,
    pub pad_byte: u8,
}

pub fn chunk(kind: &[u8; 4], flags: u16, owner: u64, payload: Bytes) -> Chunk {
    Chunk {
        kind: *kind,
        version: 1,
        flags,
        owner,
        payload: payload.0,
        stored: None,
        raw: None,
        crc: 0,
        reserved: 0,
        header_crc: 0,
        pad_byte: 0,
    }
}

impl Chunk {
    fn header(&self) -> Vec<u8> {
        let len = self.payload.len() as u64;
        let stored = self.stored.unwrap_or(len);
        let head = Bytes::default()
            .raw(&self.kind)
            .u16(self.version)
            .u16(self.flags)
            .u64(self.owner)
            .u64(stored)
            .u64(self.raw.unwrap_or(stored))
            .u32(crc32c(&self.payload) ^ self.crc)
            .u64(self.reserved);
        let crc = crc32c(&head.0) ^ self.header_crc;
        head.u32(crc).0
    }

    fn rooted(&self) -> bool {
        !matches!(&self.kind, b"PAD " | b"INDX" | b"END ")
    }
}

/// A file that can be wrong in every way.
#[derive(Clone)]
pub struct File {
    pub magic: Vec<u8>,
    pub profile: u8,
    pub machine: u16,
    pub major: u16,
    pub incompat: u64,
    pub set: [u8; 16],
    pub page_shift: u8,
    pub reserved: u8,
    pub header_crc: u32,
    pub chunks: Vec<Chunk>,
    /// Bytes left out before each DATA payload's page boundary.
    pub misalign: u64,
    /// Changes to the INDX payload, END payload, and the footer's 28 bytes.
    pub index: fn(&mut Vec<u8>),
    pub end: fn(&mut Vec<u8>),
    pub footer: fn(&mut Vec<u8>),
    /// Leave out INDX.
    pub no_index: bool,
    /// Leave out what stands behind the chunks.
    pub cut: bool,
    pub trailing: Vec<u8>,
}

pub fn file(profile: u8, set: [u8; 16], chunks: Vec<Chunk>) -> File {
    File {
        magic: vec![0xc7, 0x43, 0x52, 0x59, 0x4f, 0x0d, 0x0a, 0x1a, 0x0a],
        profile,
        machine: 62,
        major: 1,
        incompat: 0,
        set,
        page_shift: 12,
        reserved: 0,
        header_crc: 0,
        chunks,
        misalign: 0,
        index: |_| (),
        end: |_| (),
        footer: |_| (),
        no_index: false,
        cut: false,
        trailing: Vec::new(),
    }
}

impl File {
    pub fn chunk(&mut self, kind: &[u8; 4]) -> &mut Chunk {
        self.chunks.iter_mut().find(|c| c.kind == *kind).expect("the base set has one of each kind")
    }

    /// The bytes, and the root.
    pub fn build(&self) -> (Vec<u8>, [u8; 32]) {
        let head = Bytes::default()
            .raw(&self.magic)
            .raw(&[self.profile])
            .u16(self.machine)
            .u16(self.major)
            .u16(0)
            .u64(self.incompat)
            .u64(0)
            .raw(&self.set)
            .raw(&[self.page_shift, self.reserved])
            .raw(&[0; 10]);
        let crc = crc32c(&head.0) ^ self.header_crc;
        let mut out = head.u32(crc).0;
        assert_eq!(out.len(), 64);
        let mut root = blake3::Hasher::new();
        root.update(&out);
        let mut entries = Bytes::default();
        let (mut listed, mut count) = (0, 0);
        for c in &self.chunks {
            if &c.kind == b"DATA" {
                let at = out.len() as u64 + 96 + self.misalign;
                let pad = chunk(b"PAD ", 0, 0, Bytes(vec![0; (at.wrapping_neg() % 4096) as usize]));
                count += 1;
                push(&mut out, &pad);
            }
            let header = c.header();
            if c.rooted() {
                root.update(&header);
                if &c.kind != b"DATA" {
                    root.update(&c.payload);
                }
                let field = |range: std::ops::Range<usize>| &header[range];
                entries = entries.raw(field(0..16)).u64(out.len() as u64).raw(field(16..36)).u32(0);
                listed += 1;
            }
            count += 1;
            push(&mut out, c);
        }
        let root = *root.finalize().as_bytes();
        if self.cut {
            return (out, root);
        }
        let mut index = chunk(b"INDX", 0, 0, Bytes::default().u64(0).u64(listed).raw(&entries.0));
        (self.index)(&mut index.payload);
        let mut index_at = 0;
        if !self.no_index {
            index_at = out.len() as u64;
            count += 1;
            push(&mut out, &index);
        }
        let mut end = chunk(b"END ", CRITICAL, 0, Bytes::default().raw(&root).u64(count));
        (self.end)(&mut end.payload);
        let end_at = out.len() as u64;
        push(&mut out, &end);
        let mut footer = Bytes::default().raw(b"\xc7CRYOEND").u64(index_at).u64(end_at).u32(0).0;
        (self.footer)(&mut footer);
        let crc = crc32c(&footer);
        out.extend(footer);
        out.extend(crc.to_le_bytes());
        out.extend(&self.trailing);
        (out, root)
    }
}

fn push(out: &mut Vec<u8>, c: &Chunk) {
    out.extend(c.header());
    out.extend(&c.payload);
    while !out.len().is_multiple_of(8) {
        out.push(c.pad_byte);
    }
}

/// PRNT.
pub fn parent(depth: u32, owners: &[(u64, u64)]) -> Chunk {
    let owners: Vec<_> = owners.iter().map(|(owner, parent)| b().u64(*owner).u64(*parent)).collect();
    chunk(b"PRNT", CRITICAL, 0, b().raw(&[5; 48]).u32(depth).u32(0).string(b"/p.freeze").raw(&list(&owners).0))
}

/// Bit of a compressed chunk.
pub const ZSTD: u16 = 0x0100;

/// A frame of zstd by RFC 8878, of one block: this byte, `n` times. It announces `announced` bytes, 256 to 65791.
pub fn zstd_frame(byte: u8, n: u32, announced: u16) -> Vec<u8> {
    // A single segment, with its size in two bytes; the last block, of the kind that repeats a byte.
    let size = (announced - 256).to_le_bytes();
    let block = (n << 3 | 3).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0x60][..], &size, &block[..3], &[byte]].concat()
}

/// A set: process 1 with thread 2, file 3, embedded object 4, description 5.
#[derive(Clone)]
pub struct Set {
    pub frore: File,
    pub frost: File,
    pub freeze: File,
    /// Change what LINK says, after the roots are known.
    pub link: fn(&mut Vec<u8>),
}

pub fn b() -> Bytes {
    Bytes::default()
}

pub fn object(id: u64, embedded: u32) -> Bytes {
    b().u64(id)
        .u32(0)
        .u32(embedded)
        .string(b"/x")
        .u64s(2)
        .u32(0)
        .u32(0)
        .u64(100)
        .u64s(2)
        .string(b"")
        .raw(&[0; 32])
        .u64(0)
}

pub fn vma(start: u64, end: u64, backing: u32, object: u64) -> Bytes {
    b().u64(start).u64(end).u32(3).u32(backing).u64(0).u64(object).u64(0).string(b"")
}

pub fn extent(vaddr: u64, pages: u64, content: u32, reference: u64) -> Bytes {
    b().u64(vaddr).u64(pages).u32(content).u32(0).u64(reference)
}

pub fn list(items: &[Bytes]) -> Bytes {
    items.iter().fold(b().u64(items.len() as u64), |all, item| all.raw(&item.0))
}

pub fn extents(owner: u64, pages: u64, digest: [u8; 32], items: &[Bytes]) -> Chunk {
    chunk(b"EXTS", CRITICAL, owner, b().raw(&digest).u64(pages).raw(&list(items).0))
}

pub fn action(signal: u32) -> Bytes {
    b().u32(signal).u32(0).u64(1).u64s(3)
}

pub fn descriptor(fd: u32, description: u64) -> Bytes {
    b().u32(fd).u32(0).u64(description)
}

pub fn mm(exe: u64) -> Bytes {
    b().u64s(11).u64(exe).u32(0).u32(0).u32(0).u32(0).u64(0)
}

/// Version 1, with what version 2 has behind it.
pub fn mm2(exe: u64) -> Chunk {
    Chunk { version: 2, ..chunk(b"MM  ", CRITICAL, 1, mm(exe).u64(0).u64(0x33)) }
}

pub fn thread(process: u64) -> Bytes {
    b().u64(process).u64(77).string(b"name").u64s(8).u32(0).u32(0).u32(0).u32(0)
}

/// Version 2 of a thread, which stands beside one of version 1 in the good set.
pub fn thread2(process: u64, dispatch: [u64; 4]) -> Chunk {
    let payload = dispatch.iter().fold(thread(process), |all, word| all.u64(*word));
    Chunk { version: 2, ..chunk(b"THRD", CRITICAL, 6, payload) }
}

pub fn open_file(reserved: u32, object: u64) -> Bytes {
    b().string(b"/x").u64s(5).u32(0).u32(reserved).u64s(3).u64(object)
}

pub fn xstate(numbers: &[u32], area: usize) -> Bytes {
    let components: Vec<_> = numbers.iter().map(|n| b().u32(*n).u32(0).u32(576).u32(256)).collect();
    b().u64(7).raw(&list(&components).0).string(&vec![1; area])
}

pub fn syscall(number: u64, second: u64, restart: u32) -> Bytes {
    b().u64(number).u64s(1).u64(second).u64s(4).u32(restart).u32(0).u64(0)
}

pub fn syscall_i386(number: u32, second: u32, restart: u32) -> Bytes {
    [number, restart, 0, second, 0, 0, 0, 0, 0, 0, 0, 0].into_iter().fold(b(), Bytes::u32)
}

pub fn cpu(features: &[&str]) -> Bytes {
    let names: Vec<_> = features.iter().map(|f| b().string(f.as_bytes())).collect();
    b().string(b"brand").u64(7).u64(7).raw(&list(&names).0)
}

pub fn good_set() -> Set {
    let frore = vec![
        chunk(b"CPU ", CRITICAL, 0, cpu(&["avx", "sse"])),
        chunk(b"OBJS", CRITICAL, 0, list(&[object(3, 0), object(4, 1)])),
        chunk(b"MM  ", CRITICAL, 1, mm(3)),
        chunk(b"VMAS", CRITICAL, 1, list(&[vma(0x10000, 0x14000, 0, 0), vma(0x20000, 0x21000, 1, 3)])),
    ];
    let frost = vec![
        chunk(
            b"PROC",
            CRITICAL,
            1,
            b().u64s(6)
                .u32(0)
                .u32(0)
                .u32(0)
                .u32(0)
                .raw(&[0; 32])
                .string(b"")
                .string(b"")
                .string(b"")
                .string(b"x")
                .u64(0),
        ),
        chunk(b"THRD", CRITICAL, 2, thread(1)),
        chunk(b"SIGA", CRITICAL, 1, list(&[action(2), action(15)])),
        chunk(b"SIGP", CRITICAL, 2, list(&[b().string(&[9; 128])])),
        chunk(b"FDTB", CRITICAL, 1, list(&[descriptor(0, 5), descriptor(3, 5)])),
        chunk(b"FILE", CRITICAL, 5, open_file(0, 4)),
        chunk(b"NOTE", SAFE_TO_COPY, 0, list(&[b().string(b"fd 9").string(b"gone")])),
        thread2(1, [1, 0x5000, 0x6000, 4096]),
    ];
    let data = vec![6u8; 8192];
    let digest = *blake3::hash(&data).as_bytes();
    let freeze = vec![
        chunk(b"LINK", CRITICAL, 0, b()),
        chunk(b"RX64", CRITICAL, 2, b().u64s(27)),
        chunk(b"RX64", CRITICAL, 6, b().u64s(27)),
        chunk(b"XSTA", CRITICAL, 2, xstate(&[2], 832)),
        extents(1, 2, digest, &[extent(0x10000, 1, 1, 0), extent(0x11000, 1, 0, 0), extent(0x20000, 1, 2, 1)]),
        chunk(b"DATA", CRITICAL, 1, Bytes(data)),
        extents(4, 0, [0; 32], &[extent(0, 1, 0, 0)]),
    ];
    Set {
        frore: file(2, [7; 16], frore),
        frost: file(3, [9; 16], frost),
        freeze: file(1, [9; 16], freeze),
        link: |_| (),
    }
}

impl Set {
    /// Its DATA (two pages of sixes) compressed: `frame` in place of them.
    pub fn compress(&mut self, frame: Vec<u8>) {
        let data = self.freeze.chunk(b"DATA");
        data.flags |= ZSTD;
        data.raw = Some(8192);
        data.payload = frame;
    }

    /// .frore, .frost, .freeze.
    pub fn build(&self) -> [Vec<u8>; 3] {
        let (frore, frore_root) = self.frore.build();
        let (frost, frost_root) = self.frost.build();
        let mut freeze = self.freeze.clone();
        if let Some(link) = freeze.chunks.iter_mut().find(|c| &c.kind == b"LINK") {
            link.payload = b().raw(&self.frore.set).raw(&frore_root).raw(&frost_root).0;
            (self.link)(&mut link.payload);
        }
        [frore, frost, freeze.build().0]
    }
}
