//! `map`: the address space.

use std::io::Write;

use clap::Args;
use cryo_format::section::vmas::Vma;

use super::Look;
use crate::Outcome;
use crate::block::{Blocks, Cell, Fields, Group, Table};
use crate::print::Cx;
use crate::print::vmas::{perm, range, what};
use crate::space::{Place, Space};
use crate::text::{clipped, count, size};

/// The address space: ranges, permissions, what is in them, and where their content is
///
/// The bar shows the places: # stored in the image, = stored although the file has the same, s with a shared or mapped object in the image,
/// p with the parent, f in the file only, . zero, ? not here.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect map 4242.freeze
  cryo-inspect map 4242.freeze --perm x                       what can be executed
  cryo-inspect map 4242.freeze --perm rw --kind anon
  cryo-inspect map 4242.freeze --range 7f0000000000-7fffffffffff
  cryo-inspect map 4242.freeze --format csv")]
pub struct Map {
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    filter: Filter,
}

/// Which segments.
#[derive(Args, Clone, Debug, Default)]
pub struct Filter {
    /// Only what lies in these addresses: START-END or START+LEN, in hex or 0x..., or one address
    #[arg(long, value_name = "RANGE")]
    range: Option<String>,
    /// Only segments with these permissions: letters of rwx, s shared, p private; `-w` for not writable
    #[arg(long, value_name = "PERM", allow_hyphen_values = true)]
    perm: Option<String>,
    /// Only segments of this kind
    #[arg(long, value_name = "KIND", value_parser = ["anon", "file", "shared", "kernel", "stack", "heap"])]
    kind: Vec<String>,
}

impl Filter {
    /// The part of a segment that is wanted.
    pub fn part(&self, v: &Vma) -> anyhow::Result<Option<(u64, u64)>> {
        let (mut lo, mut hi) = (v.start.0, v.end.0);
        if let Some(range) = &self.range {
            let (a, b) = crate::address::range(range)?;
            (lo, hi) = (lo.max(a), hi.min(b));
        }
        let letters = perm(v);
        let mut wanted = true;
        let mut present = true;
        for c in self.perm.iter().flat_map(|p| p.chars()) {
            match c {
                '-' => {
                    present = false;
                    continue;
                }
                'r' | 'w' | 'x' | 's' | 'p' => wanted &= letters.contains(c) == present,
                other => {
                    anyhow::bail!("--perm {other}: letters of r, w, x, s, p, with - before one that must not be there")
                }
            }
            present = true;
        }
        if !self.kind.is_empty() {
            let kinds = kinds(v);
            wanted &= self.kind.iter().any(|k| kinds.contains(&k.as_str()));
        }
        Ok((wanted && lo < hi).then_some((lo, hi)))
    }
}

impl Filter {
    /// Nothing is asked for: all segments.
    pub fn is_empty(&self) -> bool {
        self.range.is_none() && self.perm.is_none() && self.kind.is_empty()
    }

    /// The parts of an address space that are wanted, in ascending order.
    pub fn ranges(&self, space: &Space<'_>) -> anyhow::Result<Vec<(u64, u64)>> {
        if space.vmas.is_empty() {
            return Ok(space.runs().iter().map(|r| (r.start, r.end)).collect());
        }
        let parts = space.vmas.iter().map(|v| self.part(v));
        Ok(parts.collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

fn kinds(v: &Vma) -> Vec<&'static str> {
    use cryo_format::section::vmas::Backing;
    let mut kinds = vec![match v.backing {
        Backing::ANONYMOUS => "anon",
        Backing::PRIVATE_FILE => "file",
        Backing::SHARED => "shared",
        _ => "kernel",
    }];
    match v.name.as_slice() {
        b"[heap]" => kinds.push("heap"),
        name if name.starts_with(b"[stack") => kinds.push("stack"),
        _ => {}
    }
    kinds
}

/// Bytes at each kind of place.
#[derive(Default)]
struct Sizes([u64; 7]);

const LETTERS: [char; 7] = ['#', '=', 's', 'p', 'f', '.', '?'];

impl Sizes {
    fn add(&mut self, place: Place, len: u64) {
        let i = match place {
            Place::Stored => 0,
            Place::AsFile => 1,
            Place::Object(_) => 2,
            Place::Parent => 3,
            Place::Disk(_) => 4,
            Place::Zero => 5,
            Place::Absent => 6,
        };
        self.0[i] = self.0[i].saturating_add(len);
    }

    /// Ten letters in proportion; what is there at all has one.
    fn bar(&self) -> String {
        const WIDTH: u64 = 10;
        let whole = self.0.iter().fold(0u64, |a, b| a.saturating_add(*b)).max(1);
        let share = |n: u64| (u128::from(n) * u128::from(WIDTH) / u128::from(whole)) as usize;
        let mut bar: String =
            LETTERS.iter().zip(self.0).map(|(c, n)| c.to_string().repeat(share(n).max(usize::from(n > 0)))).collect();
        while bar.chars().count() > WIDTH as usize {
            // The longest run gives one.
            let longest = LETTERS.iter().max_by_key(|c| bar.matches(**c).count());
            let Some(at) = longest.and_then(|c| bar.find(*c)) else { break };
            bar.remove(at);
        }
        while bar.chars().count() < WIDTH as usize && !bar.is_empty() {
            let longest = LETTERS.iter().max_by_key(|c| bar.matches(**c).count());
            let Some((at, c)) = longest.and_then(|c| Some((bar.find(*c)?, *c))) else { break };
            bar.insert(at, c);
        }
        bar
    }
}

impl Map {
    /// Shows it.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let blocks = opened.try_each(|cx, _, out| process(cx, &self.filter, out))?;
        self.look.draw(&opened, blocks, out)
    }
}

/// The segments of a process that the filter lets through, and their sum.
pub fn process(cx: &Cx<'_>, filter: &Filter, out: &mut Blocks) -> anyhow::Result<()> {
    let space = Space::of(cx.ice, cx.owner)?;
    if space.vmas.is_empty() {
        out.caption("no segments in these files: they are in the .frore");
    }
    let mut table =
        Table::new(&["range", ">size", "perm", ">stored", ">shared", ">by file", ">zero", "places", "what"]);
    let mut sum = Sizes::default();
    let (mut whole, mut shown) = (0u64, 0);
    let mut last = 0;
    for v in space.vmas {
        let Some((lo, hi)) = filter.part(v)? else { continue };
        let mut sizes = Sizes::default();
        for run in space.within(lo, hi) {
            sizes.add(run.place, run.end - run.start);
            sum.add(run.place, run.end - run.start);
        }
        shown += 1;
        whole = whole.saturating_add(hi - lo);
        let none = |n: u64| if n == 0 { Cell::new("-", 0) } else { Cell::size(n) };
        let [stored, same, object, parent, disk, zero, _] = sizes.0;
        let name = Cell::new(clipped(what(v, last != v.object, cx).as_bytes(), 200), what(v, true, cx));
        last = v.object;
        table.row([
            range(v).into(),
            Cell::size(v.end.0 - v.start.0),
            perm(v).into(),
            none(stored.saturating_add(same)),
            none(object.saturating_add(parent)),
            none(disk),
            none(zero),
            sizes.bar().into(),
            name,
        ]);
    }
    let [stored, same, object, parent, disk, zero, absent] = sum.0;
    out.caption(format!("{}, {}", count(shown, "segment", "segments"), size(whole)));
    let mut within = Blocks::default();
    within.table(table);
    out.group(Group::one("segments", "", within));
    let mut fields = Fields::default();
    for (label, n) in [
        ("stored", stored),
        ("stored as file", same),
        ("shared or mapped object", object),
        ("with the parent", parent),
        ("in files here", disk),
        ("zero", zero),
        ("not here", absent),
    ] {
        fields.add_if(n > 0, label, || Cell::size(n));
    }
    let mut within = Blocks::default();
    within.fields(fields);
    out.group(Group::one("sum", "in all", within));
    Ok(())
}
