//! `UNIX`: a unix socket. Owner: the description. (unix(7))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Blob, Bytes, List};
use crate::rules::{Rule, Violation, ensure};
use crate::section::{Named, Section, Validate};
use crate::socket::{SocketOption, validate_options};

/// A unix socket; where it is connected, the other end is in the image or closed.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unix {
    /// SOCK_STREAM 1, SOCK_DGRAM 2, SOCK_SEQPACKET 5.
    pub kind: u32,
    /// One of the constants of [`State`].
    pub state: State,
    /// open(2) flags.
    pub open_flags: Addr,
    /// Its name as in `sun_path`: an abstract one begins with a zero byte; empty for none.
    pub name: Bytes,
    /// The directory that a relative name was seen from; else empty.
    pub directory: Bytes,
    /// Type and permissions of the socket's file, if there is one of its name and it is this socket's; else 0.
    pub mode: u32,
    /// Owner of that file.
    pub uid: u32,
    /// Group of that file.
    pub gid: u32,
    /// 1: it receives no more; 2: it sends no more.
    pub shutdown: u32,
    /// LISTENING: listen(2)'s limit of those who wait.
    pub backlog: u32,
    /// WAITING: its place among those who wait, from 0.
    pub place: u32,
    /// An error that the next call on it returns: 0 or ECONNRESET (104).
    pub error: u32,
    /// Reserved; 0.
    pub reserved: u32,
    /// CONNECTED: the description at the other end. WAITING: the listener's. Else 0.
    pub peer: u64,
    /// Options that are not as a fresh socket has them.
    pub options: List<SocketOption>,
    /// The classic BPF program attached to it, `struct sock_filter`s; else empty.
    pub filter: Blob,
    /// What waits to be read: messages in their order; of a stream one, with all its bytes.
    pub queue: List<UnixMessage>,
}

/// A message that waits.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnixMessage {
    /// Its sender's name, as `name` above; empty for none.
    pub sender: Bytes,
    /// Its bytes.
    pub data: Blob,
}

/// What it is connected to.
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct State(pub u32);

impl State {
    /// Nothing.
    pub const FREE: Self = Self(0);
    /// The description `peer`.
    pub const CONNECTED: Self = Self(1);
    /// It listens.
    pub const LISTENING: Self = Self(2);
    /// A socket that is closed.
    pub const ALONE: Self = Self(3);
    /// The listener `peer`, which has not accepted it yet.
    pub const WAITING: Self = Self(4);
}

impl Validate for Unix {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.reserved == 0, Rule::RESERVED, || "the reserved field is not zero")?;
        ensure(matches!(self.kind, 1 | 2 | 5), Rule::VALUE, || format!("{} is no type of unix socket", self.kind))?;
        ensure(self.state.0 <= State::WAITING.0, Rule::VALUE, || format!("{} is no state", self.state.0))?;
        ensure(self.shutdown <= 3, Rule::VALUE, || format!("{} is no way to shut down", self.shutdown))?;
        ensure(self.filter.len().is_multiple_of(8), Rule::VALUE, || "the filter ends inside an instruction")?;
        validate_options(&self.options)
    }

    fn names(&self) -> Vec<(Named, u64)> {
        vec![(Named::OwnerOf(Self::KIND), self.peer)]
    }
}
