//! `TLSE`: the thread-local segment descriptors of an i386 thread. Owner: the thread. (get_thread_area(2))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::List;
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::Validate;

/// TLS entries in use.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tls {
    /// The entries.
    pub entries: List<TlsEntry>,
}

/// `struct user_desc`.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TlsEntry {
    /// GDT entry: 12 to 14 on x86-64 kernels, 6 to 8 on i386 kernels.
    pub entry: u32,
    /// Base address.
    pub base: u32,
    /// Limit.
    pub limit: u32,
    /// The bit field of user_desc: seg_32bit 1, contents 6, read_exec_only 8, limit_in_pages 16, seg_not_present 32, useable 64.
    pub flags: u32,
}

impl Validate for Tls {
    fn validate(&self) -> Result<(), Violation> {
        ascending(&self.entries, |e| e.entry)
            .map_err(|i| Rule::SORTED.broken(format!("TLS entry {i} is out of order")))?;
        for e in &self.entries {
            ensure(e.flags < 128, Rule::RESERVED, || format!("TLS entry {}: unknown flags {:#x}", e.entry, e.flags))?;
        }
        Ok(())
    }
}
