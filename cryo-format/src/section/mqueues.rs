//! `MQUE`: a POSIX message queue. Owner: the description. (mq_overview(7))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Blob, Bytes, List};
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;

/// A descriptor of mq_open(3), and the queue that it is for.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Mqueue {
    /// Its name, with the slash.
    pub name: Bytes,
    /// open(2) flags as /proc/PID/fdinfo shows them, without O_CLOEXEC.
    pub open_flags: Addr,
    /// Inode number: a queue that is still there under this name with this inode is the very one.
    pub ino: u64,
    /// mq_maxmsg.
    pub max_messages: u64,
    /// mq_msgsize.
    pub message_size: u64,
    /// mq_curmsgs: how many messages were in it.
    pub waiting: u64,
    /// Permissions.
    pub mode: u32,
    /// 1 if mq_unlink(3) has taken its name away, otherwise 0.
    pub unlinked: u32,
    /// What waits in it, in the order in which mq_receive(3) gives it. Only of a queue without a name: one with a name keeps its messages itself.
    pub messages: List<Message>,
}

/// A message.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Message {
    /// Its priority.
    pub priority: u32,
    /// Its bytes.
    pub data: Blob,
}

impl Validate for Mqueue {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.unlinked <= 1, Rule::VALUE, || format!("unlinked is {}, not 0 or 1", self.unlinked))
    }
}
