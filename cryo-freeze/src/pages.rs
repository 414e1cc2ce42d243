//! Memory → `EXTS` and `DATA` chunks.
//!
//! Two threads and a handful of 1 MiB buffers: one reads pages out of the process and looks at them while they are in its cache (zero? digest),
//! the other computes the checksum and writes. A page crosses main memory once on its way; see spec/rationale.md for why it goes through a
//! buffer that fits the cache instead of being written by the target itself. With --compress others stand between the two, one for each CPU.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cryo_format::codec;
use cryo_format::prim::{Addr, Raw};
use cryo_format::section::extents::{Content, Extent};
use cryo_format::write::Writer;

use crate::error::{Refusal, RefusalKind, not_asked_to_end, refuse};
use crate::live::{Since, Still};
use crate::progress::{Counter, Progress};
use crate::tracer::{OFTEN, Traced};
use crate::{Error, Result};

/// Page size of x86.
pub const PAGE: u64 = 4096;
/// Bytes of one DATA chunk.
const RUN: usize = 1 << 20;
/// Bytes that are read at once: they are looked at while they are in the nearest cache.
const PIECE: usize = 256 << 10;
/// Up to here a second thread costs more than it brings.
const SMALL: u64 = 8 << 20;
/// Where so many bytes that were written to follow, they are compared with the parent's all the same.
const COMPARED: u64 = 64 << 10;
/// Buffers under way.
const BUFFERS: usize = 4;
/// Extents of one EXTS chunk: bounds what a sparse process costs us in memory.
const EXTENTS: usize = 16 << 10;

/// Where bytes come from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// A process's memory, at the extent's own address plus this difference.
    Memory(Still<'a>, i64),
    /// A file, at this offset for the first page.
    File(&'a File, u64),
}

/// Something to be stored: pages of one owner.
pub struct Run<'a> {
    /// Process or object.
    pub owner: u64,
    /// First address (in an object: offset), page-aligned.
    pub start: u64,
    /// Bytes, whole pages.
    pub len: u64,
    /// DATA or FILE_DATA.
    pub content: Content,
    /// Where from.
    pub source: Source<'a>,
}

impl Run<'_> {
    /// What became of the pages from `at` on since the parent was made? And of how many bytes is that the answer?
    fn since(&self, at: u64) -> (Since, u64) {
        match self.source {
            Source::Memory(still, shift) => {
                let from = at.wrapping_add_signed(shift);
                let (since, end) = still.since(from);
                (since, end - from)
            }
            Source::File(..) => (Since::Unknown, u64::MAX),
        }
    }
}

struct Batch {
    owner: u64,
    extents: Vec<Extent>,
    /// Of `RUN` bytes, so that none is ever cleared before it is read into; the first `used` of them count.
    buffer: Vec<u8>,
    used: usize,
    digest: Option<Raw<32>>,
    /// What is in the buffer, compressed; none where that is not asked for, or no shorter.
    frame: Option<Vec<u8>>,
}

/// What is done to pages on their way.
#[derive(Clone, Copy)]
pub struct Treatment {
    /// Compute their digest.
    pub digest: bool,
    /// Compress them, at this level.
    pub compress: Option<i32>,
}

/// What a set that was written before has of each owner ([`crate::Options::parent`]).
pub type Parents<'a> = HashMap<u64, cryo_format::memory::Memory<'a>>;

/// Streams all `runs` (ascending within each owner) into `writer`. A family that is `traced` runs meanwhile.
pub(crate) fn stream<W: Write + Send>(
    mut writer: Writer<W>,
    runs: &[Run<'_>],
    treatment: Treatment,
    mut parents: Parents<'_>,
    progress: &Progress,
    traced: &Traced<'_>,
) -> Result<Writer<W>> {
    let total = runs.iter().map(|r| r.len).sum();
    let mut progress = progress.of(total);
    // Who is traced is to be looked after whatever the writer waits for.
    if total <= SMALL && !traced.is_traced() {
        let mut sink = |batch: Batch| {
            let batch = batch.compressed(treatment.compress);
            batch.write(&mut writer)?;
            Ok(batch.buffer)
        };
        return match Reader::new(&mut sink, treatment.digest, traced).all(runs, &mut parents, &mut progress) {
            Ok(()) => Ok(writer),
            Err(Stop::Error(e)) => Err(e),
            Err(Stop::Writer) => refuse(RefusalKind::Internal, "the writer stopped"),
        };
    }
    let compressors = if treatment.compress.is_some() { cpus() } else { 0 };
    let buffers = BUFFERS + 2 * compressors;
    std::thread::scope(|scope| {
        let (full, fulls) = sync_channel::<Under>(buffers);
        let (empty, empties) = sync_channel::<Vec<u8>>(buffers);
        let (work, works) = sync_channel::<(Batch, SyncSender<Batch>)>(buffers);
        let works = Arc::new(Mutex::new(works));
        for _ in 1..buffers {
            let _ = empty.send(vec![0; RUN]);
        }
        for _ in 0..compressors {
            let works = Arc::clone(&works);
            scope.spawn(move || compress(&works, treatment.compress));
        }
        // The file is written by another thread, the process is read by this one: only its tracer may look through a protection where the kernel was built so
        // (CONFIG_PROC_MEM_FORCE_PTRACE, 6.12; Debian's 7.2 is).
        let writing = scope.spawn(move || write(writer, &fulls, &empty));
        let mut sink = |batch| {
            let under = match compressors {
                0 => Under::Ready(batch),
                _ => {
                    let (done, doing) = sync_channel(1);
                    work.send((batch, done)).map_err(|_| Stop::Writer)?;
                    Under::Compression(doing)
                }
            };
            full.send(under).map_err(|_| Stop::Writer)?;
            loop {
                match empties.recv_timeout(if traced.is_traced() { OFTEN } else { Duration::MAX }) {
                    Err(RecvTimeoutError::Timeout) => {
                        traced.attend();
                        not_asked_to_end()?;
                    }
                    other => return other.map_err(|_| Stop::Writer),
                }
            }
        };
        let read = Reader::new(&mut sink, treatment.digest, traced).all(runs, &mut parents, &mut progress);
        drop((full, work));
        let written =
            traced.join(writing).map_err(|_| Refusal::new(RefusalKind::Internal, "the writing thread failed"))?;
        // A reader that found the channel closed has only seen the writer's error.
        match (read, written) {
            (Err(Stop::Error(e)), _) | (_, Err(e)) => Err(e),
            (_, Ok(writer)) => Ok(writer),
        }
    })
}

/// A batch on its way to the writer, who takes them in the order in which they were read, whichever is compressed first.
enum Under {
    Ready(Batch),
    Compression(Receiver<Batch>),
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Compresses what comes, until nothing more comes.
fn compress(works: &Mutex<Receiver<(Batch, SyncSender<Batch>)>>, level: Option<i32>) {
    loop {
        let next = works.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((batch, done)) = next else { return };
        // A writer that has gone needs it no more.
        let _ = done.send(batch.compressed(level));
    }
}

fn write<W: Write>(mut writer: Writer<W>, fulls: &Receiver<Under>, empty: &SyncSender<Vec<u8>>) -> Result<Writer<W>> {
    for under in fulls {
        let batch = match under {
            Under::Ready(batch) => batch,
            Under::Compression(doing) => match doing.recv() {
                Ok(batch) => batch,
                Err(_) => return refuse(RefusalKind::Internal, "a compressing thread failed"),
            },
        };
        batch.write(&mut writer)?;
        // A reader that has gone needs no more buffers.
        let _ = empty.try_send(batch.buffer);
    }
    Ok(writer)
}

/// Why reading ended early.
enum Stop {
    /// The writer is gone; it knows why.
    Writer,
    Error(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(e: E) -> Self {
        Self::Error(e.into())
    }
}

/// Takes a full batch and gives an empty buffer for the next.
type Sink<'a> = dyn FnMut(Batch) -> std::result::Result<Vec<u8>, Stop> + 'a;

impl Batch {
    fn data(&self) -> &[u8] {
        &self.buffer[..self.used]
    }

    fn compressed(mut self, level: Option<i32>) -> Self {
        self.frame = level.and_then(|level| codec::compress(self.data(), level));
        self
    }

    fn write<W: Write>(&self, writer: &mut Writer<W>) -> Result<()> {
        match &self.frame {
            Some(frame) => {
                writer.compressed_pages(self.owner, &self.extents, self.used as u64, frame, self.digest)?;
            }
            None => writer.pages(self.owner, &self.extents, self.data(), self.digest)?,
        }
        Ok(())
    }
}

struct Reader<'a, 't> {
    sink: &'a mut Sink<'a>,
    batch: Option<Batch>,
    buffer: Vec<u8>,
    digest: bool,
    traced: &'a Traced<'t>,
}

impl<'a, 't> Reader<'a, 't> {
    fn new(sink: &'a mut Sink<'a>, digest: bool, traced: &'a Traced<'t>) -> Self {
        Self { sink, batch: None, buffer: vec![0; RUN], digest, traced }
    }

    fn all(
        mut self,
        runs: &[Run<'_>],
        parents: &mut Parents<'_>,
        progress: &mut Counter<'_>,
    ) -> std::result::Result<(), Stop> {
        runs.iter().try_for_each(|run| self.run(run, parents.get_mut(&run.owner), progress))?;
        self.send()
    }

    fn run(
        &mut self,
        run: &Run<'_>,
        mut parent: Option<&mut cryo_format::memory::Memory<'_>>,
        progress: &mut Counter<'_>,
    ) -> std::result::Result<(), Stop> {
        let mut done = 0;
        while done < run.len {
            let at = run.start + done;
            let batch = self.batch(run.owner)?;
            let (since, len) = run.since(at);
            let len = len.min(run.len - done);
            if let (Since::Unchanged, Some((content, there))) =
                (since, parent.as_deref().and_then(|parent| parent.content(at)))
            {
                let content = if content == Content::ZERO { content } else { Content::PARENT };
                let len = len.min(there);
                note(&mut batch.extents, at, content, 0, len / PAGE);
                let full = batch.extents.len() >= EXTENTS;
                done += len;
                progress.add(len);
                self.traced.attend();
                if full {
                    self.send()?;
                }
                continue;
            }
            let n = ((RUN - batch.used).min(PIECE) as u64).min(len) as usize;
            let room = &mut batch.buffer[batch.used..batch.used + n];
            match run.source {
                Source::Memory(memory, shift) => memory.read(at.wrapping_add_signed(shift), room)?,
                Source::File(file, offset) => read_file(file, offset + done, room)?,
            }
            // A page that was written to is not compared: all of a chunk of the parent would be read for it. Huge ones are always taken for written.
            let parent = parent.as_deref_mut().filter(|_| since == Since::Unknown || len >= COMPARED);
            sift(batch, n, at, run.content, parent)?;
            let full = batch.used == RUN || batch.extents.len() >= EXTENTS;
            done += n as u64;
            progress.add(n as u64);
            self.traced.attend();
            if full {
                self.send()?;
            }
        }
        Ok(())
    }

    /// The batch under way, of this owner.
    fn batch(&mut self, owner: u64) -> std::result::Result<&mut Batch, Stop> {
        if self.batch.as_ref().is_some_and(|b| b.owner != owner) {
            self.send()?;
        }
        let buffer = &mut self.buffer;
        Ok(self.batch.get_or_insert_with(|| Batch {
            owner,
            extents: Vec::new(),
            buffer: std::mem::take(buffer),
            used: 0,
            digest: None,
            frame: None,
        }))
    }

    fn send(&mut self) -> std::result::Result<(), Stop> {
        if let Some(mut batch) = self.batch.take() {
            if batch.extents.is_empty() {
                self.buffer = batch.buffer;
                return Ok(());
            }
            // Here, not in the writing thread: writing takes the longer of the two.
            batch.digest = (self.digest && batch.used != 0).then(|| cryo_format::digest(batch.data()));
            not_asked_to_end()?;
            self.buffer = (self.sink)(batch)?;
        }
        Ok(())
    }
}

/// Looks at the `n` bytes that were read behind those in use: zero pages and those that the parent has are left out, the others move together, extents
/// are noted.
fn sift(
    batch: &mut Batch,
    n: usize,
    at: u64,
    content: Content,
    mut parent: Option<&mut cryo_format::memory::Memory<'_>>,
) -> Result<()> {
    const ZERO: [u8; PAGE as usize] = [0; PAGE as usize];
    let page = PAGE as usize;
    let begin = batch.used;
    for from in (begin..begin + n).step_by(page) {
        let (vaddr, keep) = (at + (from - begin) as u64, batch.used);
        if batch.buffer[from..from + page] == ZERO {
            // A zero page that is the file's own needs no extent: where the file is missing, what is not covered is zero, too.
            if content != Content::FILE_DATA {
                note(&mut batch.extents, vaddr, Content::ZERO, 0, 1);
            }
        } else if let Some(parent) = &mut parent
            && parent.stored(vaddr)?.is_some_and(|(as_what, bytes)| {
                as_what == content && bytes.get(..page) == Some(&batch.buffer[from..from + page])
            })
        {
            note(&mut batch.extents, vaddr, Content::PARENT, 0, 1);
        } else {
            if keep != from {
                batch.buffer.copy_within(from..from + page, keep);
            }
            note(&mut batch.extents, vaddr, content, (keep / page) as u64, 1);
            batch.used += page;
        }
    }
    Ok(())
}

/// Adds pages to the extents.
fn note(extents: &mut Vec<Extent>, vaddr: u64, content: Content, reference: u64, pages: u64) {
    if let Some(last) = extents.last_mut()
        && last.content == content
        && last.vaddr.0 + last.pages * PAGE == vaddr
        && (!content.is_stored() || last.reference + last.pages == reference)
    {
        last.pages += pages;
        return;
    }
    extents.push(Extent { vaddr: Addr(vaddr), pages, content, reserved: 0, reference });
}

/// Reads what the file has; behind its end is zero, as in a mapping's last page.
pub fn read_file(file: &File, offset: u64, mut room: &mut [u8]) -> Result<()> {
    let mut at = offset;
    while !room.is_empty() {
        match file.read_at(room, at) {
            Ok(0) => {
                room.fill(0);
                return Ok(());
            }
            Ok(n) => {
                at += n as u64;
                room = &mut room[n..];
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Io { what: "reading a mapped file".into(), error }),
        }
    }
    Ok(())
}
