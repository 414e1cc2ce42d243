//! Four-character names of chunk kinds.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use binrw::binrw;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a chunk is: four bytes, upper-case letters and digits, filled up with spaces. Any other value is kept as it is.
///
/// As text the spaces at the end are left out (`MM`, not `MM  `), and what is not printable is shown as `\xNN`.
#[binrw]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub [u8; 4]);

impl Kind {
    /// Page data; announced by the `EXTS` chunk before it.
    pub const DATA: Self = Self(*b"DATA");
    /// Zero bytes that bring the payload of the next `DATA` chunk to a page boundary.
    pub const PAD: Self = Self(*b"PAD ");
    /// Index of the chunks before it.
    pub const INDX: Self = Self(*b"INDX");
    /// Last chunk of every file.
    pub const END: Self = Self(*b"END ");

    /// Is it one of the four kinds that make up the container itself?
    pub fn is_structural(self) -> bool {
        matches!(self, Self::DATA | Self::PAD | Self::INDX | Self::END)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().rposition(|b| *b != b' ').map_or(0, |last| last + 1);
        for b in &self.0[..end] {
            match b {
                b'\\' => f.write_str("\\\\")?,
                b' '..=b'~' => f.write_char(*b as char)?,
                _ => write!(f, "\\x{b:02x}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a chunk kind: at most four characters, other bytes as \\xNN")]
pub struct NotAKind(String);

impl FromStr for Kind {
    type Err = NotAKind;
    fn from_str(text: &str) -> Result<Self, NotAKind> {
        let wrong = || NotAKind(text.to_owned());
        let mut bytes = crate::prim::Bytes::from_lossless(text).ok_or_else(wrong)?.0;
        while bytes.len() < 4 {
            bytes.push(b' ');
        }
        bytes.try_into().map(Self).map_err(|_| wrong())
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.to_string()
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
