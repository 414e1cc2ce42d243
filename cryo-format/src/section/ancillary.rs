//! `ANCL`: what travels with messages that wait in a unix socket: descriptors, and who sent them. Owner: the description of the socket in which they wait. (unix(7),
//! SCM_RIGHTS and SCM_CREDENTIALS)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::List;
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::{Named, Validate};

/// The most descriptors that travel with one message (SCM_MAX_FD of linux/net/scm.h).
pub const MOST: usize = 253;

/// All such messages of a socket, in their order.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ancillary {
    /// The messages.
    pub messages: List<AncillaryMessage>,
}

/// What travels with one message.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AncillaryMessage {
    /// The message's place among those that wait, from 0; of a stream the place of its first byte.
    pub at: u64,
    /// Of a stream: how many bytes were sent with it; else 0.
    pub len: u64,
    /// Who sent it: the pid as the processes of the image see it; 0 if that was not sent along.
    pub pid: u64,
    /// The sender's user; 0 where `pid` is.
    pub uid: u32,
    /// The sender's group; 0 where `pid` is.
    pub gid: u32,
    /// Local ids of the descriptions whose descriptors travel with it, in their order.
    pub descriptions: List<u64>,
}

impl Validate for Ancillary {
    fn validate(&self) -> Result<(), Violation> {
        for m in &self.messages {
            let n = m.descriptions.len();
            ensure(n <= MOST && (n > 0 || m.pid != 0), Rule::VALUE, || {
                format!("message {}: {n} descriptors, sent by process {}", m.at, m.pid)
            })?;
            ensure(!m.descriptions.contains(&0), Rule::DESCRIPTOR, || {
                format!("message {}: a descriptor of no description", m.at)
            })?;
        }
        ascending(&self.messages, |m| m.at).map_err(|i| Rule::SORTED.broken(format!("message {i} is out of order")))
    }

    fn names(&self) -> Vec<(Named, u64)> {
        let descriptions = self.messages.iter().flat_map(|m| &m.descriptions);
        descriptions.map(|id| (Named::Description, *id)).collect()
    }
}
