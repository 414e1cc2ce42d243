//! Pages in our own memory: what copies of a template are filled with, and no fork brings them (`templates`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::sync::{Mutex, PoisonError};

use cryo_format::ranges;
use cryo_format::section::extents::Content;
use cryo_format::section::vmas::Vma;

/// Pages of an owner that belong together.
pub struct Piece {
    /// Address of the first, or its offset in an object.
    pub start: u64,
    /// First behind the last.
    pub end: u64,
    /// What they are.
    pub content: Content,
    /// The pages, if they are not of zeros.
    pub bytes: Option<Box<[u8]>>,
}

/// All that was kept, by owner.
#[derive(Default)]
pub struct KeptPages {
    pieces: HashMap<u64, BTreeMap<u64, Piece>>,
}

impl KeptPages {
    /// The owners.
    pub fn owners(&self) -> impl Iterator<Item = u64> {
        self.pieces.keys().copied()
    }

    /// What an owner has.
    pub fn of(&self, owner: u64) -> impl Iterator<Item = &Piece> {
        self.pieces.get(&owner).into_iter().flat_map(BTreeMap::values)
    }

    /// Is there nothing?
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How much memory that is.
    pub fn bytes(&self) -> u64 {
        self.pieces
            .values()
            .flat_map(BTreeMap::values)
            .filter_map(|piece| piece.bytes.as_ref())
            .map(|bytes| bytes.len() as u64)
            .sum()
    }
}

/// Decides which pages are kept, while others are filled in, and keeps them.
pub struct Keep {
    /// The process whose memory is filled, where it is mapped.
    process: u64,
    /// Where that is, ascending.
    mapped: Vec<(u64, u64)>,
    /// Files that are filled.
    files: HashSet<u64>,
    kept: Mutex<KeptPages>,
}

impl Keep {
    /// Keeps all but the pages of these mappings of a process, and those of these files.
    pub fn but(process: u64, vmas: &[Vma], files: &HashMap<u64, File>) -> Self {
        let mapped = vmas.iter().map(|v| (v.start.0, v.end.0)).collect();
        Self { process, mapped: ranges::joined(mapped), files: files.keys().copied().collect(), kept: Mutex::default() }
    }

    /// Of pages of an owner those that are filled in.
    pub fn filled(&self, owner: u64, range: (u64, u64)) -> Vec<(u64, u64)> {
        if owner == self.process {
            ranges::in_all(&[&[range], &self.mapped])
        } else if self.files.contains(&owner) {
            vec![range]
        } else {
            Vec::new()
        }
    }

    /// Keeps these.
    pub fn keep(&self, owner: u64, piece: Piece) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // A filler that has begun anew keeps it once more.
        kept.pieces.entry(owner).or_default().insert(piece.start, piece);
    }
}

impl From<Keep> for KeptPages {
    fn from(keep: Keep) -> Self {
        keep.kept.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
