//! The numbered validation rules (spec/15-rules.md lists the same numbers; a test compares the two).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::prim::Addr;

/// A rule of the format, by its number. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rule(pub u16);

macro_rules! rules {
    ($($number:literal $name:ident $text:literal;)*) => {
        #[allow(missing_docs)] // the text is the documentation
        impl Rule {
            $(#[doc = $text] pub const $name: Self = Self($number);)*

            /// Every rule, in order.
            pub const ALL: &[Self] = &[$(Self($number)),*];

            /// What it says.
            pub fn text(self) -> &'static str {
                match self.0 {
                    $($number => $text,)*
                    _ => "a rule of a later version",
                }
            }
        }
    };
}

rules! {
    1 MAGIC "A file begins with the nine bytes C7 43 52 59 4F 0D 0A 1A 0A.";
    2 HEADER_CHECKSUM "The checksum of the header is right.";
    3 PROFILE "The profile is 1 (.freeze), 2 (.frore) or 3 (.frost).";
    4 MAJOR "The major version is one that the reader knows: 1.";
    5 INCOMPAT "No bit of `incompat` is set that the reader does not know.";
    6 HEADER_RESERVED "The reserved bytes of the header are zero.";
    7 MACHINE "The machine is 62 (x86-64) or 3 (i386).";
    8 PAGE_SHIFT "The page shift is between 12 and 16.";

    10 CHUNK_CHECKSUM "The checksum of a chunk header is right.";
    11 CHUNK_RESERVED "The reserved bits and bytes of a chunk header are zero.";
    12 PAYLOAD_CHECKSUM "The checksum of a payload is right.";
    13 PADDING "The bytes between a payload and the next multiple of 8 are zero.";
    14 CHUNK_LIMIT "A payload is no longer than the limit of its kind.";
    15 CODEC "The codec is 0 (stored), and then `raw` equals `stored`; or, of DATA, 1: one frame of zstd that announces `raw` bytes, gives as many, and is shorter.";
    16 CRITICAL "A kind that the reader does not know is not critical.";
    17 VERSION "The version of a known critical kind is one that the reader knows.";
    18 MISPLACED "A known kind stands in the profile that it belongs to.";
    19 TRUNCATED "A file is complete: it ends with an END chunk and the footer.";
    20 END_COUNT "END counts the chunks before it.";
    21 ROOT "END holds the root of the file.";
    22 FOOTER "The footer is right: magic, checksum, reserved bytes, places of END and of the last INDX.";
    23 TRAILING "Nothing follows the footer in a file.";
    24 INDEX "The INDX chunks list exactly the chunks before them.";
    25 PAD_ZERO "The payload of PAD is zero.";
    26 FLAGS "A known kind carries the flags of the registry.";
    27 TWICE "One owner has at most one section of a kind, EXTS excepted.";

    30 PAYLOAD "A section can be read from its payload and takes all of it: every count and length fits.";
    31 RESERVED "The reserved fields of a section are zero.";
    32 VALUE "A field whose values are listed has one of them.";

    40 VMA_ORDER "Mappings, guards, forked ranges and ranges with a memory policy ascend, do not overlap and are not empty; touched ranges do so when they are sorted.";
    41 VMA_ALIGN "Mappings, guards, forked and touched ranges and ranges with a memory policy begin and end at page boundaries.";
    42 EXTENT_ORDER "The extents of one owner ascend, do not overlap, are not empty and do not wrap around.";
    43 EXTENT_ALIGN "Extents begin at page boundaries.";
    44 DATA_FOLLOWS "A DATA chunk follows the EXTS of the same owner that announces it, with that many pages, and nothing but PAD stands between them.";
    45 EXTENT_REFERENCE "The pages that a DATA or FILE_DATA extent refers to lie within the announced DATA chunk; other extents refer to 0.";
    46 DIGEST "The digest in EXTS is that of the DATA chunk, or zero.";
    47 DATA_ALIGN "The payload of DATA that is not compressed begins at a page boundary of the file.";
    48 EXTENT_PLACE "Extents of a process lie in its mappings, extents of an object in its pages.";

    50 OBJECT_ORDER "Objects are sorted by id, without duplicates; no id is 0.";
    51 VMA_OBJECT "The object of a mapping is in OBJS; a mapping of a file or of shared memory has one.";
    52 EXE_OBJECT "The executable in MM is an object in OBJS, or 0.";
    53 THREAD_PROCESS "The process of a thread has a PROC section.";
    54 DESCRIPTOR "Descriptors ascend by number, and each refers to a description that has a section.";
    55 FILE_OBJECT "The object of a deleted open file is in OBJS.";
    56 OWNER "The owner of a section is what the registry says: the image (0), a process, a thread, a description, an object.";
    57 LOCAL_ID "A local id belongs to one process, thread, object or description, and is not 0.";
    58 REGISTERS "A thread has one set of general registers: in an image of i386 that of i386, in one of x86-64 either; one that has exited has none.";
    59 EMBEDDED "Only objects that say that they are embedded have EXTS.";

    60 SIGNAL "Signals are between 1 and 64; handlers ascend by signal.";
    61 SIGINFO "A pending signal is 128 bytes.";
    62 XSTATE "The XSAVE area has its legacy part, and each component of the sorted layout lies within it.";
    63 SORTED "A list that the spec calls sorted is sorted, without duplicates.";
    64 RESTART "A system call that is restarted through a block (516) is one that only waits: poll, nanosleep, clock_nanosleep, or futex with FUTEX_WAIT or FUTEX_WAIT_BITSET.";
    65 NAMED "A local id that a section names, other than 0, is that of what its page says: a process, thread, description or object that is in the set.";

    70 SET_ID "The .freeze and the .frost of a set have the same set id.";
    71 LINK_ROOT "The template's id, its root and the root of the .frost are those recorded in LINK.";
    72 LINK "A .freeze has exactly one LINK.";
    73 SAME_MACHINE "The files of a set agree on machine and page shift.";
    74 PARENT "The owner of a PARENT extent is named in PRNT, and the parent has those pages.";
}

impl Rule {
    /// This rule is broken, and how.
    pub fn broken(self, detail: impl Into<String>) -> Violation {
        Violation { rule: self, detail: detail.into() }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}", self.0)
    }
}

/// A rule that does not hold, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail} ({rule})")]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// What was found.
    pub detail: String,
}

/// `Ok` if `holds`, else the violation of `rule`.
pub fn ensure<D: Into<String>>(holds: bool, rule: Rule, detail: impl FnOnce() -> D) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(rule.broken(detail())) }
}

/// Ranges of whole pages, given by their first addresses and those behind them: aligned, not empty, ascending, without overlap. A section by itself does
/// not know more of the size of a page than that it is none below 4 KiB; a file does.
pub(crate) fn page_ranges(page: u64, ranges: impl IntoIterator<Item = (Addr, Addr)>) -> Result<(), Violation> {
    let mut last = 0;
    for (start, end) in ranges {
        let range = || format!("{start}-{end}");
        ensure((start.0 | end.0) % page == 0, Rule::VMA_ALIGN, || format!("{} is not page-aligned", range()))?;
        ensure(start < end && start.0 >= last, Rule::VMA_ORDER, || {
            format!("{} is empty, or begins before {last:#x}", range())
        })?;
        last = end.0;
    }
    Ok(())
}

/// Is `items` strictly ascending by `key`? Otherwise the index of the first that is not above the one before it.
pub(crate) fn ascending<T, K: PartialOrd>(items: &[T], key: impl Fn(&T) -> K) -> Result<(), usize> {
    match items.windows(2).position(|pair| key(&pair[0]) >= key(&pair[1])) {
        None => Ok(()),
        Some(i) => Err(i + 1),
    }
}
