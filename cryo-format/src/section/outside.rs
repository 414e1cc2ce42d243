//! `OUTS`: an open file description whose other end is not in the image: a terminal, a pipe to another program. Owner: the description.

use std::fmt;
use std::str::FromStr;

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Bytes};
use crate::section::Validate;

/// An end that the thawer has to find again.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outside {
    /// What it was, for people: `/dev/pts/3`, `pipe:[1234]`.
    pub what: Bytes,
    /// open(2) flags.
    pub open_flags: Addr,
    /// One of the constants of [`Policy`].
    pub policy: Policy,
    /// For INHERIT: the thawer's descriptor to take.
    pub inherit: u32,
    /// For PATH: the file to open.
    pub path: Bytes,
}

/// What the thawer puts in its place.
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Policy(pub u32);

impl Policy {
    /// The thawer's own descriptor of the number in `inherit`.
    pub const INHERIT: Self = Self(0);
    /// /dev/null.
    pub const NULL: Self = Self(1);
    /// The file named in `path`.
    pub const PATH: Self = Self(2);
    /// The terminal that the thawer runs on: its controlling terminal, else its first standard descriptor.
    pub const TERMINAL: Self = Self(3);
}

impl Validate for Outside {}

/// A person's choice for a descriptor, when it is frozen or thawed: `N=inherit|null|close|FILE`, or `outside=...` for all that would be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FdRule {
    /// The descriptor; none if it is for all that would be refused.
    pub fd: Option<u32>,
    /// What is put there.
    pub instead: Instead,
}

/// What is put in the place of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instead {
    /// The thawer's own descriptor of this number.
    Inherit,
    /// /dev/null.
    Null,
    /// Nothing: the descriptor is closed.
    Close,
    /// This file.
    File(Bytes),
}

impl FdRule {
    /// What is said of one descriptor. Of several for one the last one holds.
    pub fn of(rules: &[Self], fd: u32) -> Option<&Instead> {
        rules.iter().rfind(|rule| rule.fd == Some(fd)).map(|rule| &rule.instead)
    }

    /// What is said of all that would be refused.
    pub fn outside(rules: &[Self]) -> Option<&Instead> {
        rules.iter().rfind(|rule| rule.fd.is_none()).map(|rule| &rule.instead)
    }
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inherit => f.write_str("the thawer's own"),
            Self::Null => f.write_str("/dev/null"),
            Self::Close => f.write_str("nothing"),
            Self::File(path) => f.write_str(&path.lossless()),
        }
    }
}

impl FromStr for FdRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (fd, instead) = text.split_once('=')?;
            let fd = if fd == "outside" { None } else { Some(fd.parse().ok()?) };
            let instead = match instead {
                "" => return None,
                "inherit" => Instead::Inherit,
                "null" => Instead::Null,
                "close" => Instead::Close,
                file => Instead::File(file.into()),
            };
            // One file for many descriptors of all kinds is nobody's wish.
            (fd.is_some() || !matches!(instead, Instead::File(_))).then_some(Self { fd, instead })
        };
        parse().ok_or_else(|| {
            format!("{text:?} is not of the form N=inherit|null|close|FILE or outside=inherit|null|close")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{FdRule, Instead};

    #[test]
    fn a_rule_is_a_number_and_what_is_put_there() {
        let rule = |fd, instead| Ok(FdRule { fd, instead });
        assert_eq!("0=inherit".parse(), rule(Some(0), Instead::Inherit));
        assert_eq!("7=null".parse(), rule(Some(7), Instead::Null));
        assert_eq!("7=close".parse(), rule(Some(7), Instead::Close));
        assert_eq!("7=a=b".parse(), rule(Some(7), Instead::File("a=b".into())));
        assert_eq!("outside=null".parse(), rule(None, Instead::Null));
        for wrong in ["", "7", "7=", "=null", "-1=null", "x=null", "4294967296=null", "outside=file"] {
            assert!(wrong.parse::<FdRule>().is_err(), "{wrong}");
        }
        let rules = ["7=null", "8=a", "7=close", "outside=inherit"].map(|text| text.parse().unwrap());
        assert_eq!(FdRule::of(&rules, 7), Some(&Instead::Close));
        assert_eq!(FdRule::of(&rules, 9), None);
        assert_eq!(FdRule::outside(&rules), Some(&Instead::Inherit));
    }
}
