//! `LDT `: the local descriptor table. Owner: the process. (modify_ldt(2))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::List;
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::Validate;

/// The table.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ldt {
    /// The entries in use, sorted.
    pub entries: List<LdtEntry>,
}

/// `struct user_desc`.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LdtEntry {
    /// Its number in the table, below 8192; its selector is 8 times that and 7.
    pub entry: u32,
    /// Base address.
    pub base: u32,
    /// Limit, below 2^20.
    pub limit: u32,
    /// The bit field of user_desc: seg_32bit 1, contents 6, read_exec_only 8, limit_in_pages 16, seg_not_present 32, useable 64.
    pub flags: u32,
}

impl Validate for Ldt {
    fn validate(&self) -> Result<(), Violation> {
        ascending(&self.entries, |e| e.entry)
            .map_err(|i| Rule::SORTED.broken(format!("LDT entry {i} is out of order")))?;
        for e in &self.entries {
            ensure(e.entry < 8192 && e.limit < 1 << 20, Rule::VALUE, || {
                format!("LDT entry {} with a limit of {:#x}", e.entry, e.limit)
            })?;
            ensure(e.flags < 128, Rule::RESERVED, || format!("LDT entry {}: unknown flags {:#x}", e.entry, e.flags))?;
        }
        Ok(())
    }
}
