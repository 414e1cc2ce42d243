//! Pages, compared: by the digests of their chunks first, then byte by byte, a piece at a time.

use std::collections::HashMap;

use cryo_format::prim::Addr;
use cryo_format::section::extents::{Content, Extents};
use cryo_format::section::vmas::{Vma, Vmas};

use super::moved;
use super::options::Options;
use crate::block::{Blocks, Cell, Group, Line, Mark, Table};
use crate::ice::Ice;
use crate::parallel::in_order;
use crate::print::Cx;
use crate::print::vmas::{perm, range, what};
use crate::space::{Place, Space};
use crate::text::count;

/// Bytes that are read at once of either.
const PIECE: u64 = 1 << 20;
/// Bytes that one thread compares before it asks for more.
const SHARE: u64 = 16 << 20;

/// What is different in one segment.
#[derive(Default)]
pub struct Found {
    /// Pages that differ.
    pub pages: u64,
    /// Bytes that differ.
    pub bytes: u64,
    /// The first of them.
    pub first: Option<u64>,
    /// Pages that one of the two does not have.
    pub missing: u64,
    lines: Vec<(u64, Vec<u8>, Vec<u8>)>,
    more: bool,
}

/// Compares the memory of two processes where both have it mapped, and gives how many segments differ.
pub fn compare(a: (&Ice, u64), b: (&Ice, u64), options: Options<'_>, out: &mut Blocks) -> anyhow::Result<u64> {
    let (x, y) = (Space::of(a.0, a.1)?, Space::of(b.0, b.1)?);
    let same = proven(a, b);
    let cx = Cx { ice: b.0, owner: b.1, process: Some(b.1) };
    let vmas = b.0.get::<Vmas>(b.1).map_or(&[][..], |v| &v.vmas[..]);
    let mut table = Table::new(&["change", "range", "perm", ">pages", ">bytes", "first", "what"]);
    let mut bytes = Blocks::default();
    let mut missing = 0;
    let whole = [Vma { end: Addr(u64::MAX), ..Vma::default() }];
    let vmas = if vmas.is_empty() { &whole[..] } else { vmas };
    let was = Cx { ice: a.0, owner: a.1, process: Some(a.1) };
    let pairs = moved::pairs(&was, &cx);
    let from: HashMap<Addr, Addr> = pairs.iter().map(|(from, to)| (to.start, from.start)).collect();
    // One that was at another place is compared with what was there.
    let mut parts: Vec<(Vma, u64)> = Vec::new();
    for v in vmas {
        let from = from.get(&v.start).unwrap_or(&v.start).0;
        let part = options.filter.map_or(Ok(Some((v.start.0, v.end.0))), |filter| filter.part(v))?;
        if let Some((lo, hi)) = part {
            parts.push((Vma { start: Addr(lo), end: Addr(hi), ..v.clone() }, from + (lo - v.start.0)));
        }
    }
    let pairs: Vec<(&Vma, u64)> = parts.iter().map(|(v, from)| (v, *from)).collect();
    for ((v, _), found) in pairs.iter().zip(segments(&pairs, &x, &y, &same, options, a.0.page_size())?) {
        missing += found.missing;
        if found.pages == 0 {
            continue;
        }
        let first = found.first.unwrap_or_default();
        table.row([
            Cell::new("~", "changed"),
            range(v).into(),
            perm(v).into(),
            Cell::number(found.pages),
            Cell::number(found.bytes),
            Cell::hex(format!("{first:012x}"), first),
            what(v, true, &cx).into(),
        ]);
        if options.bytes {
            let mut within = Blocks::default();
            found.lines.iter().for_each(|(at, before, after)| hex(*at, before, after, &mut within));
            if found.more {
                within.caption("... and more: --max shows them");
            }
            bytes.group(Group::many("bytes", vec![("range", range(v).into())], range(v), within));
        }
    }
    let n = table.rows.len() as u64;
    if n > 0 {
        let mut within = Blocks::default();
        within.table(table);
        out.group(Group::one(
            "memory",
            format!("~ memory: {} with other bytes", count(n, "segment", "segments")),
            within,
        ));
        out.append(bytes);
    } else if options.unchanged {
        out.caption(Cell::from("= memory").marked(Mark::Faint));
    }
    self::missing(missing, out);
    Ok(n)
}

/// Says how many pages could not be compared.
pub fn missing(pages: u64, out: &mut Blocks) {
    if pages > 0 {
        let pages = count(pages, "page", "pages");
        out.warn(format!("{pages} could not be compared: one of the images does not have them"));
    }
}

/// Ranges whose bytes are the same, since the digests of their chunks are.
pub fn proven(a: (&Ice, u64), b: (&Ice, u64)) -> Vec<(u64, u64)> {
    let page = a.0.page_size();
    let key = |x: &Extents| x.extents.first().map(|e| e.vaddr.0);
    let theirs: HashMap<u64, &Extents> = b.0.sections::<Extents>(b.1).filter_map(|x| Some((key(x)?, x))).collect();
    let mut ranges = Vec::new();
    for x in a.0.sections::<Extents>(a.1) {
        let same = key(x).and_then(|k| theirs.get(&k)).is_some_and(|y| *y == x && x.digest.0 != [0; 32]);
        if same && page == b.0.page_size() {
            // What is with the parents is the same only if these are.
            let own = x.extents.iter().filter(|e| e.content != Content::PARENT);
            ranges.extend(own.map(|e| (e.vaddr.0, e.vaddr.0.saturating_add(e.pages.saturating_mul(page)))));
        }
    }
    ranges.sort_unstable();
    ranges
}

/// Compares segments of the second with what begins at the addresses beside them in the first.
pub fn segments(
    pairs: &[(&Vma, u64)],
    x: &Space<'_>,
    y: &Space<'_>,
    same: &[(u64, u64)],
    options: Options<'_>,
    page: u64,
) -> anyhow::Result<Vec<Found>> {
    let mut work = Vec::new();
    for (i, (v, _)) in pairs.iter().enumerate() {
        for run in y.within(v.start.0, v.end.0) {
            // What is zero takes no time, however much it is.
            let step = if matches!(run.place, Place::Zero | Place::Absent) { u64::MAX } else { SHARE };
            let mut here = run.start;
            while here < run.end {
                let end = here.saturating_add(step).min(run.end);
                work.push((i, here, end));
                here = end;
            }
        }
    }
    let mut all: Vec<Found> = pairs.iter().map(|_| Found::default()).collect();
    in_order(
        &work,
        || Ok((x.again()?, y.again()?)),
        |(x, y), (i, lo, hi)| {
            let (v, from) = pairs[*i];
            let proven = if from == v.start.0 { same } else { &[] };
            part((v, from), (*lo, *hi), x, y, proven, options, page)
        },
        |(i, ..), found| {
            all[*i].add(found, options.most);
            Ok(())
        },
    )?;
    Ok(all)
}

/// Compares a part of a segment of the second, which begins at `from` in the first.
fn part(
    (v, from): (&Vma, u64),
    (lo, hi): (u64, u64),
    x: &mut Space<'_>,
    y: &mut Space<'_>,
    same: &[(u64, u64)],
    options: Options<'_>,
    page: u64,
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    // One of each for all pieces: fresh memory costs more than what is read into it.
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let mut here = lo;
    // Addresses of the first, and those of the second that they stand for.
    let (to, back) = (
        move |at: u64| at.wrapping_sub(v.start.0).wrapping_add(from),
        move |at: u64| {
            if at == u64::MAX { at } else { at.wrapping_sub(from).wrapping_add(v.start.0) }
        },
    );
    while here < hi {
        let (p, q) = (x.run(to(here)).copied(), y.run(here).copied());
        let (Some(p), Some(q)) = (p, q) else {
            // Mapped in one of them only: the segments say that.
            let next =
                [(x.runs(), to(here)), (y.runs(), here)].into_iter().enumerate().filter_map(|(i, (runs, at))| {
                    let run = runs.get(runs.partition_point(|r| r.end <= at))?;
                    let next = if run.start <= at { run.end } else { run.start };
                    Some(if i == 0 { back(next) } else { next })
                });
            here = next.min().unwrap_or(hi).min(hi).max(here + 1);
            continue;
        };
        let mut end = back(p.end).min(q.end).min(hi);
        if matches!((p.place, q.place), (Place::Zero, Place::Zero)) {
            here = end;
            continue;
        }
        if p.place == Place::Absent || q.place == Place::Absent {
            // The same file at the same place, in neither of them: nothing says that it is another one.
            if p.place != q.place {
                found.missing += (end - here) / page;
            }
            here = end;
            continue;
        }
        // What digests prove is not read.
        if let Some((lo, hi)) = same.get(same.partition_point(|(_, hi)| *hi <= here)) {
            if *lo <= here {
                here = end.min(*hi);
                continue;
            }
            end = end.min(*lo);
        }
        end = end.min(here + PIECE);
        let len = (end - here) as usize;
        let longer = len.max(one.len());
        one.resize(longer, 0);
        other.resize(longer, 0);
        let (before, after) = (&mut one[..len], &mut other[..len]);
        let n = x.read(to(here), before)?.min(y.read(here, after)?);
        if n < len {
            found.missing += ((len - n) as u64).div_ceil(page);
        }
        if before[..n] != after[..n] {
            found.pages(here, &before[..n], &after[..n], page as usize, options);
        }
        here = end;
    }
    Ok(found)
}

impl Found {
    /// What was found behind it in the same segment.
    fn add(&mut self, other: Self, most: usize) {
        self.pages += other.pages;
        self.bytes += other.bytes;
        self.first = self.first.or(other.first);
        self.missing += other.missing;
        let room = most.saturating_sub(self.lines.len());
        self.more |= other.more || other.lines.len() > room;
        self.lines.extend(other.lines.into_iter().take(room));
    }

    fn pages(&mut self, start: u64, before: &[u8], after: &[u8], page: usize, options: Options<'_>) {
        for (i, (p, q)) in before.chunks(page).zip(after.chunks(page)).enumerate() {
            if p == q {
                continue;
            }
            self.pages += 1;
            let at = start + (i * page) as u64;
            self.bytes += p.iter().zip(q).filter(|(a, b)| a != b).count() as u64;
            if self.first.is_none() {
                self.first = p.iter().zip(q).position(|(a, b)| a != b).map(|o| at + o as u64);
            }
            if !options.bytes {
                continue;
            }
            for (j, (p, q)) in p.chunks(16).zip(q.chunks(16)).enumerate().filter(|(_, (p, q))| p != q) {
                if self.lines.len() >= options.most {
                    self.more = true;
                    break;
                }
                self.lines.push((at + j as u64 * 16, p.to_vec(), q.to_vec()));
            }
        }
    }
}

/// Two lines, in which what differs is marked.
fn hex(at: u64, before: &[u8], after: &[u8], out: &mut Blocks) {
    for (sign, mark, bytes, others) in [("-", Mark::Removed, before, after), ("+", Mark::Added, after, before)] {
        let mut parts: Vec<(Option<std::borrow::Cow<'static, str>>, Cell)> =
            vec![(None, Cell::from(format!("{sign} {at:012x} ")))];
        let mut text = String::new();
        for (b, other) in bytes.iter().zip(others) {
            let mark = if b == other { Mark::None } else { mark };
            parts.push((None, Cell::from(format!(" {b:02x}")).marked(mark)));
            text.push(if matches!(b, b' '..=b'~') { char::from(*b) } else { '.' });
        }
        parts.push((None, Cell::from(format!("  |{text}|"))));
        out.push(crate::block::Block::Line(Line { parts, caption: false, list: Some("lines") }));
    }
}
