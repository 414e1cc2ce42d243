//! `stats`: what the memory is made of.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::io::Write;

use clap::Args;
use foldhash::quality::RandomState;
use lz4_flex::block::{compress_into, get_maximum_output_size};

use super::Look;
use super::map::Filter;
use crate::Outcome;
use crate::block::{Blocks, Cell, Fields, Group, Table};
use crate::parallel::in_order;
use crate::print::Cx;
use crate::print::vmas::{perm, range, what};
use crate::space::{Place, Space};

/// Bytes that one thread looks at before it asks for more.
const PIECE: u64 = 1 << 20;
/// Different pages that are remembered to find equal ones: 8 bytes each.
const MOST: usize = 16 << 20;
/// One page of so many is compressed.
const SAMPLE: usize = 16;

/// What the memory in the image is made of: zero pages, pages that are there more than once, and how much information is in a byte
///
/// Entropy is in bits for each byte: 0 where all bytes are the same, 8 where nothing can be compressed. Compressible is how much of a hundred bytes LZ4 saves:
/// of the first of every sixteen pages that are not zero, each by itself. Pages of files that are not in the image are not looked at.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect stats 4242.freeze
  cryo-inspect stats 4242.freeze --kind heap --format json")]
pub struct Stats {
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    filter: Filter,
}

/// Pages, and what they are.
#[derive(Default)]
struct Count {
    pages: u64,
    zero: u64,
    again: u64,
    /// Bytes that were compressed, and what they became.
    sampled: (u64, u64),
    histogram: Histogram,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.pages += other.pages;
        self.zero += other.zero;
        self.again += other.again;
        self.sampled.0 += other.sampled.0;
        self.sampled.1 += other.sampled.1;
        self.histogram.0.iter_mut().zip(other.histogram.0).for_each(|(a, b)| *a += b);
    }

    /// Of a hundred bytes those that LZ4 saves.
    fn saved(&self) -> Cell {
        let (before, after) = self.sampled;
        match (before.saturating_sub(after) * 100).checked_div(before) {
            Some(percent) => Cell::new(format!("{percent} %"), percent),
            None => Cell::unknown(),
        }
    }
}

struct Histogram([u64; 256]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; 256])
    }
}

impl Histogram {
    /// In four parts, so that equal bytes beside each other do not wait for each other.
    fn add(&mut self, bytes: &[u8]) {
        let mut parts = [[0u32; 256]; 4];
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            for (i, part) in parts.iter_mut().enumerate() {
                part[usize::from((word >> (i * 8)) as u8)] += 1;
                part[usize::from((word >> (i * 8 + 32)) as u8)] += 1;
            }
        }
        for byte in rest {
            parts[0][usize::from(*byte)] += 1;
        }
        for (i, n) in self.0.iter_mut().enumerate() {
            *n += parts.iter().map(|p| u64::from(p[i])).sum::<u64>();
        }
    }

    #[allow(clippy::cast_precision_loss)] // a tenth of a bit is enough
    fn entropy(&self) -> f64 {
        let all: u64 = self.0.iter().sum();
        let parts = self.0.iter().filter(|n| **n > 0).map(|n| *n as f64 / all as f64);
        parts.map(|p| -p * p.log2()).sum::<f64>().abs()
    }
}

impl Stats {
    /// Shows it.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let blocks = opened.try_each(|cx, _, out| process(cx, &self.filter, out))?;
        self.look.draw(&opened, blocks, out)
    }
}

/// What the memory of a process is made of, as far as the filter lets it through.
pub fn process(cx: &Cx<'_>, filter: &Filter, out: &mut Blocks) -> anyhow::Result<()> {
    let space = Space::of(cx.ice, cx.owner)?;
    let page = cx.ice.page_size();
    let mut counts: Vec<Count> = space.vmas.iter().map(|_| Count::default()).collect();
    let mut work = Vec::new();
    for (i, v) in space.vmas.iter().enumerate() {
        let Some((lo, hi)) = filter.part(v)? else { continue };
        for run in space.within(lo, hi) {
            match run.place {
                Place::Zero => {
                    let pages = (run.end - run.start) / page;
                    counts[i].pages += pages;
                    counts[i].zero += pages;
                }
                Place::Absent | Place::Disk(_) => {}
                _ => {
                    let starts = (run.start..run.end).step_by(PIECE as usize);
                    work.extend(starts.map(|start| (i, start, start.saturating_add(PIECE).min(run.end))));
                }
            }
        }
    }
    let mut seen: HashSet<u64> = HashSet::new();
    let hasher = RandomState::default();
    in_order(
        &work,
        || Ok((space.again()?, vec![0; PIECE as usize], vec![0; get_maximum_output_size(page as usize)])),
        |(space, bytes, compressed), (_, start, end)| {
            let bytes = &mut bytes[..(end - start) as usize];
            let got = space.read(*start, bytes)?;
            Ok(look(&bytes[..got], page, &hasher, compressed))
        },
        |(i, ..), (mut count, hashes)| {
            // Not in the threads: which of two equal pages is the first would depend on their luck.
            for hash in hashes {
                if seen.len() < MOST {
                    count.again += u64::from(!seen.insert(hash));
                }
            }
            counts[*i].add(&count);
            Ok(())
        },
    )?;
    let mut table = Table::new(&["range", "perm", ">pages", ">zero", ">again", ">entropy", ">compressible", "what"]);
    let mut sum = Count::default();
    for (v, count) in space.vmas.iter().zip(&counts).filter(|(_, count)| count.pages > 0) {
        sum.add(count);
        table.row([
            range(v).into(),
            perm(v).into(),
            Cell::number(count.pages),
            Cell::count(count.zero),
            Cell::count(count.again),
            entropy(&count.histogram),
            count.saved(),
            what(v, true, cx).into(),
        ]);
    }
    let mut within = Blocks::default();
    within.table(table);
    out.group(Group::one("segments", "", within));
    let mut fields = Fields::default();
    fields.add("pages", Cell::number(sum.pages));
    fields.add("zero", Cell::number(sum.zero));
    fields.add("again", Cell::new(format!("{} as another page before them", sum.again), sum.again));
    fields.add("entropy", entropy(&sum.histogram));
    fields.add("compressible", sum.saved());
    let mut within = Blocks::default();
    within.fields(fields);
    out.group(Group::one("sum", "in all", within));
    Ok(())
}

/// What these pages are, and a hash of each that is not zero.
fn look(bytes: &[u8], page: u64, hasher: &RandomState, compressed: &mut [u8]) -> (Count, Vec<u64>) {
    let mut count = Count::default();
    let mut hashes = Vec::with_capacity(bytes.len() / page as usize);
    for one in bytes.chunks(page as usize) {
        count.pages += 1;
        if is_zero(one) {
            count.zero += 1;
            continue;
        }
        let sampled = hashes.len().is_multiple_of(SAMPLE);
        hashes.push(hasher.hash_one(one));
        if sampled && let Ok(len) = compress_into(one, compressed) {
            count.sampled.0 += one.len() as u64;
            count.sampled.1 += len.min(one.len()) as u64;
        }
    }
    if count.zero < count.pages {
        count.histogram.add(bytes);
    } else {
        count.histogram.0[0] += bytes.len() as u64;
    }
    (count, hashes)
}

fn is_zero(page: &[u8]) -> bool {
    let (words, rest) = page.as_chunks::<64>();
    words.iter().all(|w| *w == [0; 64]) && rest.iter().all(|b| *b == 0)
}

fn entropy(histogram: &Histogram) -> Cell {
    let bits = histogram.entropy();
    Cell::new(format!("{bits:.1}"), (bits * 10.0).round() / 10.0)
}
