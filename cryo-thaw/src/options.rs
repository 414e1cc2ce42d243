//! What the person who thaws may choose.

use std::path::PathBuf;
use std::str::FromStr;

/// Which process id the thawed process gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pid {
    /// The same where it is free and allowed, a new one otherwise.
    #[default]
    Auto,
    /// The same, or nothing.
    Same,
    /// The same, in a pid namespace of its own.
    Namespace,
    /// A new one.
    New,
}

/// What takes the place of descriptor `fd`, whatever the image says: `N=inherit|null|FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FdRule {
    /// The descriptor.
    pub fd: u32,
    /// What is put there.
    pub instead: Instead,
}

/// See [`FdRule`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instead {
    /// The thawer's own descriptor of the same number.
    Inherit,
    /// /dev/null.
    Null,
    /// This file.
    File(PathBuf),
}

impl FromStr for FdRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || format!("{text:?} is not of the form N=inherit|null|FILE");
        let (fd, what) = text.split_once('=').ok_or_else(usage)?;
        let fd = fd.parse().map_err(|_| usage())?;
        let instead = match what {
            "" => return Err(usage()),
            "inherit" => Instead::Inherit,
            "null" => Instead::Null,
            file => Instead::File(file.into()),
        };
        Ok(Self { fd, instead })
    }
}

/// Choices of one thaw.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Process id.
    pub pid: Pid,
    /// Descriptors to be replaced.
    pub fds: Vec<FdRule>,
    /// Leave it stopped by SIGSTOP.
    pub stopped: bool,
    /// Give it a session of its own, so that it does not depend on the terminal.
    pub detach: bool,
    /// Go on although this CPU lacks instructions that the program may have chosen at its start.
    pub ignore_cpu: bool,
}
