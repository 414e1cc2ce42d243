//! Primitive types of the format (spec/03-primitives.md): little-endian integers, addresses, byte strings, lists.
//!
//! Everything that announces a length is checked against what remains of the payload before anything is allocated:
//! image files are hostile input.

use std::fmt;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::{Deref, DerefMut};

use binrw::{BinRead, BinResult, BinWrite, Endian, binrw};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An address or address-sized word of the frozen process. In JSON a hex string, because a JSON number loses bits above 2^53.
#[binrw]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Addr(pub u64);

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Addr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Addr {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let digits = text.strip_prefix("0x").ok_or_else(|| serde::de::Error::custom("an address starts with 0x"))?;
        u64::from_str_radix(digits, 16).map(Addr).map_err(serde::de::Error::custom)
    }
}

/// Bytes that remain in the bounded payload `r` is reading.
fn remaining<R: Read + Seek>(r: &mut R) -> BinResult<u64> {
    let here = r.stream_position()?;
    let end = r.seek(SeekFrom::End(0))?;
    r.seek(SeekFrom::Start(here))?;
    Ok(end.saturating_sub(here))
}

fn too_many(pos: u64, what: &str, count: u64, left: u64) -> binrw::Error {
    binrw::Error::AssertFail { pos, message: format!("{what} announces {count}, but only {left} bytes remain") }
}

/// `u64` count, then that many bytes: paths, names, raw areas. In JSON a string, with `\xNN` for what is not UTF-8 (and `\\`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// As text for people: UTF-8 where it is, `\xNN` where it is not.
    pub fn lossless(&self) -> String {
        use fmt::Write as _;
        let mut out = String::new();
        for part in self.0.utf8_chunks() {
            for c in part.valid().chars() {
                if c == '\\' {
                    out.push_str("\\\\");
                } else {
                    out.push(c);
                }
            }
            for b in part.invalid() {
                let _ = write!(out, "\\x{b:02x}");
            }
        }
        out
    }

    /// The inverse of [`Bytes::lossless`].
    pub fn from_lossless(text: &str) -> Option<Self> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            if *first != b'\\' {
                out.push(*first);
                continue;
            }
            match rest {
                [b'\\', tail @ ..] => {
                    out.push(b'\\');
                    rest = tail;
                }
                [b'x', hi, lo, tail @ ..] => {
                    let digit = |b: u8| (b as char).to_digit(16);
                    out.push((digit(*hi)? * 16 + digit(*lo)?) as u8);
                    rest = tail;
                }
                _ => return None,
            }
        }
        Some(Self(out))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.lossless())
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lossless())
    }
}

impl Deref for Bytes {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl<T: Into<Vec<u8>>> From<T> for Bytes {
    fn from(v: T) -> Self {
        Self(v.into())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.lossless())
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::from_lossless(&text).ok_or_else(|| serde::de::Error::custom("a backslash escapes nothing"))
    }
}

impl BinRead for Bytes {
    type Args<'a> = ();
    fn read_options<R: Read + Seek>(r: &mut R, endian: Endian, (): ()) -> BinResult<Self> {
        let pos = r.stream_position()?;
        let count = u64::read_options(r, endian, ())?;
        let left = remaining(r)?;
        if count > left {
            return Err(too_many(pos, "a byte string", count, left));
        }
        let mut bytes = vec![0; count as usize];
        r.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl BinWrite for Bytes {
    type Args<'a> = ();
    fn write_options<W: Write + Seek>(&self, w: &mut W, endian: Endian, (): ()) -> BinResult<()> {
        (self.0.len() as u64).write_options(w, endian, ())?;
        w.write_all(&self.0)?;
        Ok(())
    }
}

/// Raw bytes that are not text: like [`Bytes`] on disk, in JSON a string of hex digits.
#[binrw]
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Bytes);

/// Two hex digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits?;
    (digits.len() % 2 == 0).then(|| digits.chunks_exact(2).map(|p| p[0] << 4 | p[1]).collect())
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl<T: Into<Vec<u8>>> From<T> for Blob {
    fn from(v: T) -> Self {
        Self(Bytes(v.into()))
    }
}

impl Deref for Blob {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0.0
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        unhex(&text).map(Self::from).ok_or_else(|| serde::de::Error::custom("not hex digits"))
    }
}

/// A fixed array of raw bytes; in JSON a string of hex digits. Ids, digests, magic numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Raw<const N: usize>(pub [u8; N]);

impl<const N: usize> Default for Raw<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> BinRead for Raw<N> {
    type Args<'a> = ();
    fn read_options<R: Read + Seek>(r: &mut R, _: Endian, (): ()) -> BinResult<Self> {
        let mut bytes = [0; N];
        r.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl<const N: usize> BinWrite for Raw<N> {
    type Args<'a> = ();
    fn write_options<W: Write + Seek>(&self, w: &mut W, _: Endian, (): ()) -> BinResult<()> {
        Ok(w.write_all(&self.0)?)
    }
}

impl<const N: usize> fmt::Debug for Raw<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl<const N: usize> fmt::Display for Raw<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl<const N: usize> Serialize for Raw<N> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Raw<N> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        unhex(&text)
            .and_then(|v| v.try_into().ok())
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format!("not {N} bytes in hex")))
    }
}

/// `u64` count, then that many entries. An entry takes at least four bytes, so a count that cannot fit is refused before anything is
/// allocated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<T>;
    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(v: Vec<T>) -> Self {
        Self(v)
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(i: I) -> Self {
        Self(i.into_iter().collect())
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T> BinRead for List<T>
where
    T: for<'a> BinRead<Args<'a> = ()>,
{
    type Args<'a> = ();
    fn read_options<R: Read + Seek>(r: &mut R, endian: Endian, (): ()) -> BinResult<Self> {
        let pos = r.stream_position()?;
        let count = u64::read_options(r, endian, ())?;
        let left = remaining(r)?;
        // Every entry of every list in the format takes at least four bytes; the vector then grows as entries arrive,
        // so that a lie costs at most what the payload itself cost.
        if count > left / 4 {
            return Err(too_many(pos, "a list", count, left));
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(T::read_options(r, endian, ())?);
        }
        Ok(Self(items))
    }
}

impl<T> BinWrite for List<T>
where
    T: for<'a> BinWrite<Args<'a> = ()>,
{
    type Args<'a> = ();
    fn write_options<W: Write + Seek>(&self, w: &mut W, endian: Endian, (): ()) -> BinResult<()> {
        (self.0.len() as u64).write_options(w, endian, ())?;
        for item in &self.0 {
            item.write_options(w, endian, ())?;
        }
        Ok(())
    }
}

/// A checksum, in schemas.
#[cfg(feature = "schema")]
pub(crate) struct Crc;
