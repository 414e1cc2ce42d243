//! `stats`: what the memory is made of.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;

use clap::Args;

use super::Look;
use super::map::Filter;
use crate::Outcome;
use crate::block::{Blocks, Cell, Fields, Group, Table};
use crate::print::Cx;
use crate::print::vmas::{perm, range, what};
use crate::space::{Place, Run, Space};

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;
const PAGE: usize = 4096;
/// Different pages that are remembered to find equal ones: 8 bytes each.
const MOST: usize = 16 << 20;

/// What the memory in the image is made of: zero pages, pages that are there more than once, and how much information is in a byte
///
/// Entropy is in bits for each byte: 0 where all bytes are the same, 8 where nothing can be compressed. Pages of files that are not in the image
/// are not looked at.
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

#[derive(Default)]
struct Count {
    pages: u64,
    zero: u64,
    again: u64,
    histogram: Histogram,
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
        for four in bytes.chunks(4) {
            for (part, b) in parts.iter_mut().zip(four) {
                part[usize::from(*b)] += 1;
            }
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
        let blocks = opened.try_each(|cx, _, out| self.process(cx, out))?;
        self.look.draw(&opened, blocks, out)
    }

    fn process(&self, cx: &Cx<'_>, out: &mut Blocks) -> anyhow::Result<()> {
        let mut space = Space::of(cx.ice, cx.owner)?;
        let mut seen: HashSet<u64> = HashSet::new();
        let hasher = RandomState::new();
        let mut table = Table::new(&["range", "perm", ">pages", ">zero", ">again", ">entropy", "what"]);
        let mut sum = Count::default();
        for v in space.vmas {
            let Some((lo, hi)) = self.filter.part(v)? else { continue };
            let mut count = Count::default();
            let runs: Vec<Run> = space.within(lo, hi).collect();
            let mut piece = vec![0; PIECE];
            for run in runs {
                let (mut here, end) = (run.start, run.end);
                match run.place {
                    Place::Zero => {
                        let pages = (end - here) / PAGE as u64;
                        count.pages += pages;
                        count.zero += pages;
                        continue;
                    }
                    Place::Absent | Place::Disk(_) => continue,
                    _ => {}
                }
                while here < end {
                    let n = (end - here).min(PIECE as u64) as usize;
                    let got = space.read(here, &mut piece[..n])?;
                    for page in piece[..got].chunks(PAGE) {
                        count.pages += 1;
                        if page.iter().all(|b| *b == 0) {
                            count.zero += 1;
                        } else if seen.len() < MOST {
                            count.again += u64::from(!seen.insert(hasher.hash_one(page)));
                        }
                    }
                    count.histogram.add(&piece[..got]);
                    if got < n {
                        break;
                    }
                    here += n as u64;
                }
            }
            if count.pages == 0 {
                continue;
            }
            sum.pages += count.pages;
            sum.zero += count.zero;
            sum.again += count.again;
            sum.histogram.0.iter_mut().zip(count.histogram.0).for_each(|(a, b)| *a += b);
            table.row([
                range(v).into(),
                perm(v).into(),
                Cell::number(count.pages),
                Cell::count(count.zero),
                Cell::count(count.again),
                entropy(&count.histogram),
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
        let mut within = Blocks::default();
        within.fields(fields);
        out.group(Group::one("sum", "in all", within));
        Ok(())
    }
}

fn entropy(histogram: &Histogram) -> Cell {
    let bits = histogram.entropy();
    Cell::new(format!("{bits:.1}"), (bits * 10.0).round() / 10.0)
}
