//! `SECC`: seccomp. Owner: the process, and each thread that differs from its main thread. (seccomp(2))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::List;
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;

/// What a thread may ask of the kernel.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Seccomp {
    /// SECCOMP_MODE_DISABLED 0, SECCOMP_MODE_STRICT 1, SECCOMP_MODE_FILTER 2.
    pub mode: u32,
    /// Must be zero.
    pub reserved: u32,
    /// The filters, the first that was installed first.
    pub filters: List<Filter>,
}

/// One filter.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Filter {
    /// SECCOMP_FILTER_FLAG_LOG 2, or 0.
    pub flags: u32,
    /// Must be zero.
    pub reserved: u32,
    /// Its program.
    pub program: List<Instruction>,
}

/// One instruction of classic BPF: struct sock_filter.
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Jump if true.
    pub jt: u8,
    /// Jump if false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

impl Validate for Seccomp {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.mode <= 2, Rule::VALUE, || format!("mode is {}, not 0, 1 or 2", self.mode))?;
        let reserved = self.filters.iter().fold(self.reserved, |all, f| all | f.reserved);
        ensure(reserved == 0, Rule::RESERVED, || "a reserved field is not zero")
    }
}
