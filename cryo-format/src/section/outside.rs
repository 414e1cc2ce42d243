//! `OUTS`: an open file description whose other end is not in the image: a terminal, a pipe to another program. Owner: the description.

use std::str::FromStr;

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Bytes};
use crate::section::Validate;

/// An end that the thawer has to find again.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// A person's choice for descriptor N, when it is frozen or thawed: `N=inherit|null|FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FdRule {
    /// The descriptor.
    pub fd: u32,
    /// What is put there: INHERIT, NULL or PATH.
    pub policy: Policy,
    /// For PATH: the file.
    pub path: Bytes,
}

impl FdRule {
    /// Of several for one descriptor the last one holds.
    pub fn of(rules: &[Self], fd: u32) -> Option<&Self> {
        rules.iter().rfind(|rule| rule.fd == fd)
    }
}

impl FromStr for FdRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (fd, what) = text.split_once('=')?;
            let (policy, path) = match what {
                "" => return None,
                "inherit" => (Policy::INHERIT, ""),
                "null" => (Policy::NULL, ""),
                file => (Policy::PATH, file),
            };
            Some(Self { fd: fd.parse().ok()?, policy, path: path.into() })
        };
        parse().ok_or_else(|| format!("{text:?} is not of the form N=inherit|null|FILE"))
    }
}

#[cfg(test)]
mod tests {
    use super::{FdRule, Policy};

    #[test]
    fn a_rule_is_a_number_and_what_is_put_there() {
        let rule = |fd, policy, path: &str| Ok(FdRule { fd, policy, path: path.into() });
        assert_eq!("0=inherit".parse(), rule(0, Policy::INHERIT, ""));
        assert_eq!("7=null".parse(), rule(7, Policy::NULL, ""));
        assert_eq!("7=a=b".parse(), rule(7, Policy::PATH, "a=b"));
        for wrong in ["", "7", "7=", "=null", "-1=null", "x=null", "4294967296=null"] {
            assert!(wrong.parse::<FdRule>().is_err(), "{wrong}");
        }
        let rules = ["7=null", "8=a", "7=b"].map(|text| text.parse().unwrap());
        assert_eq!(FdRule::of(&rules, 7), Some(&rules[2]));
        assert_eq!(FdRule::of(&rules, 9), None);
    }
}
