//! `redact`: a set that may be shown to others.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::Args;
use cryo_format::ranges::joined;
use cryo_format::section::AnySection;
use cryo_format::section::forked::Forked;
use cryo_format::section::mm::Mm;
use cryo_format::section::notes::{Note, REDACTED};
use cryo_format::section::vmas::{Backing, Vmas};
use regex::bytes::{Regex, RegexBuilder};

use super::open;
use crate::Outcome;
use crate::arch::Registers;
use crate::ice::Ice;
use crate::people::People;
use crate::rewrite::{Change, write};
use crate::scan::scan;
use crate::space::{Place, Space};

/// Write a new set without what is not needed to debug: it verifies and can be looked at, but not be thawed
///
/// Stacks (from each stack pointer upwards), the data of the program and its libraries, and registers stay. All other memory of its own becomes zero; so do the
/// values of the environment and what --pattern matches in what stays; the content of pipes, sockets, queues and deleted files is left out. Arguments and paths stay: look
/// at the result before you pass it on. A note in the set says that it was redacted, and the thawer refuses it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect redact 4242.freeze -o for-the-bug-report
  cryo-inspect redact 4242.freeze -o small --keep-heap --pattern 'AKIA[0-9A-Z]{16}' --pattern 'password=[^&]*'")]
pub struct Redact {
    /// NAME or NAME.freeze
    image: PathBuf,
    /// The new set is NAME.frore, NAME.frost and NAME.freeze, which must not be there yet
    #[arg(short, long, value_name = "NAME")]
    output: PathBuf,
    /// Keep the heap and other memory of the program's own, too
    #[arg(long)]
    keep_heap: bool,
    /// Wipe also what this regular expression matches (bytes) in what stays
    #[arg(long, value_name = "REGEX")]
    pattern: Vec<String>,
}

struct Redaction {
    /// What stays, by owner: sorted ranges.
    stays: BTreeMap<u64, Vec<(u64, u64)>>,
    /// (owner, first address, first behind it) of environments.
    environments: Vec<(u64, u64, u64)>,
    patterns: Vec<Regex>,
    /// What they match in the memory of processes, by whose pages it stands in: sorted ranges. A match may reach from one page into the next.
    matches: BTreeMap<u64, Vec<(u64, u64)>>,
    /// Owners that are processes; others are objects.
    processes: Vec<u64>,
    keep_heap: bool,
    page: u64,
}

impl Redaction {
    fn of(ice: &Ice, keep_heap: bool, patterns: Vec<Regex>) -> anyhow::Result<Self> {
        let people = People::of(ice);
        let mut stays: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
        let mut environments = Vec::new();
        for (owner, threads) in &people.processes {
            // What it has of its parents stands with them.
            let holders = holders(ice, *owner);
            if let Some(mm) = ice.get::<Mm>(*owner) {
                environments.extend(holders.iter().map(|o| (*o, mm.env_start.0, mm.env_end.0)));
            }
            // With the red zone.
            let pointers = threads.iter().filter_map(|t| Registers::of(ice, *t));
            let pointers: Vec<(u64, u64)> =
                pointers.map(|r| (r.sp(), r.sp().saturating_sub(r.arch.red_zone()))).collect();
            for v in ice.get::<Vmas>(*owner).iter().flat_map(|v| &v.vmas) {
                let (start, end) = (v.start.0, v.end.0);
                let of_a_file = v.backing == Backing::PRIVATE_FILE || v.backing == Backing::SPECIAL;
                if of_a_file || keep_heap {
                    for holder in &holders {
                        stays.entry(*holder).or_default().push((start, end));
                    }
                }
                for (_, low) in pointers.iter().filter(|(sp, _)| (start..end).contains(sp)) {
                    let low = low & !(ice.page_size() - 1);
                    for holder in &holders {
                        stays.entry(*holder).or_default().push((low, end));
                    }
                }
            }
        }
        for ranges in stays.values_mut() {
            *ranges = joined(std::mem::take(ranges));
        }
        let processes: Vec<u64> = people.processes.keys().copied().collect();
        let matches = matches(ice, &processes, &patterns)?;
        Ok(Self { stays, environments, patterns, matches, processes, keep_heap, page: ice.page_size() })
    }
}

/// What the patterns match in the memory of processes.
fn matches(ice: &Ice, processes: &[u64], patterns: &[Regex]) -> anyhow::Result<BTreeMap<u64, Vec<(u64, u64)>>> {
    let mut all: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for owner in processes {
        let mut space = Space::of(ice, *owner)?;
        let holders = holders(ice, *owner);
        let mut found = Vec::new();
        for pattern in patterns {
            scan(&mut space, &[(0, u64::MAX)], pattern, |start, bytes| {
                found.push((start, start + bytes.len() as u64));
                Ok(true)
            })?;
        }
        for run in found.into_iter().flat_map(|(start, end)| space.within(start, end)) {
            match run.place {
                Place::Object(object) => {
                    all.entry(object).or_default().push((run.offset, run.offset + (run.end - run.start)));
                }
                _ => holders.iter().for_each(|o| all.entry(*o).or_default().push((run.start, run.end))),
            }
        }
    }
    for ranges in all.values_mut() {
        *ranges = joined(std::mem::take(ranges));
    }
    Ok(all)
}

/// A process, and those whose pages it shares since fork(2).
fn holders(ice: &Ice, owner: u64) -> Vec<u64> {
    let mut all = vec![owner];
    while let Some(parent) = all.last().and_then(|o| ice.get::<Forked>(*o)).map(|f| f.parent) {
        if all.contains(&parent) {
            break;
        }
        all.push(parent);
    }
    all
}

impl Change for Redaction {
    fn section(&mut self, _: u64, section: &mut AnySection) -> bool {
        match section {
            AnySection::Pipe(p) => p.content.0.drain(..).count() > 0,
            AnySection::Unix(s) => s.queue.0.drain(..).count() > 0,
            AnySection::Inet(s) => {
                s.kept.0.iter_mut().for_each(|k| k.sent.0.0.fill(b'x'));
                s.queue.0.drain(..).count() + s.kept.len() > 0
            }
            AnySection::Unread(u) => u.content.0.0.drain(..).count() > 0,
            AnySection::Attributes(a) => {
                a.inodes.0.iter_mut().map(|i| i.extended.0.drain(..).count()).sum::<usize>() > 0
            }
            AnySection::Mqueue(q) => q.messages.0.drain(..).count() > 0,
            _ => false,
        }
    }

    fn note(&self) -> Option<Note> {
        let text = "memory, values of the environment and what was on its way were wiped: it is to be looked at, and cannot be thawed";
        Some(Note { object: REDACTED.into(), text: text.into() })
    }

    fn wipes(&mut self, owner: u64, addr: u64) -> bool {
        let object = !self.processes.contains(&owner);
        let stays = if object {
            self.keep_heap
        } else {
            let ranges = self.stays.get(&owner).map_or(&[][..], Vec::as_slice);
            ranges.get(ranges.partition_point(|(_, end)| *end <= addr)).is_some_and(|(start, _)| *start <= addr)
        };
        !stays
    }

    fn page(&mut self, owner: u64, addr: u64, bytes: &mut [u8]) -> bool {
        let mut changed = false;
        for (_, start, end) in self.environments.iter().filter(|(o, ..)| *o == owner) {
            let (a, b) = ((*start).max(addr), (*end).min(addr + self.page));
            if a < b {
                // Names stay up to where the value begins; of a value that began in the page before nothing is known, and nothing stays.
                let part = &mut bytes[(a - addr) as usize..(b - addr) as usize];
                let mut value = a > *start;
                for byte in part {
                    match *byte {
                        0 => value = false,
                        _ if value => *byte = b'x',
                        b'=' => value = true,
                        _ => {}
                    }
                }
                changed = true;
            }
        }
        let matches = self.matches.get(&owner).map_or(&[][..], Vec::as_slice);
        let from = matches.partition_point(|(_, end)| *end <= addr);
        for (start, end) in matches[from..].iter().take_while(|(start, _)| *start < addr + self.page) {
            bytes[(start.max(&addr) - addr) as usize..((*end).min(addr + self.page) - addr) as usize].fill(b'x');
            changed = true;
        }
        for pattern in &self.patterns {
            let found: Vec<_> = pattern.find_iter(bytes).map(|m| m.range()).collect();
            for range in found {
                changed |= !range.is_empty();
                bytes[range].fill(b'x');
            }
        }
        changed
    }
}

impl Redact {
    /// Writes it.
    pub fn run(&self, _: &mut dyn Write) -> anyhow::Result<Outcome> {
        let ice = open(&self.image)?;
        ensure!(ice.problems.is_empty(), "{}: broken: cryo-inspect verify says where", self.image.display());
        let pattern =
            |text: &String| RegexBuilder::new(text).unicode(false).build().map_err(|e| super::no_pattern(text, &e));
        let patterns = self.pattern.iter().map(pattern).collect::<Result<Vec<_>, _>>()?;
        redact(&ice, &self.output, self.keep_heap, patterns)?;
        Ok(Outcome::Good)
    }
}

/// Writes the set NAME.
pub fn redact(ice: &Ice, name: &Path, keep_heap: bool, patterns: Vec<Regex>) -> anyhow::Result<()> {
    write(ice, name, &mut Redaction::of(ice, keep_heap, patterns)?, false)
}
