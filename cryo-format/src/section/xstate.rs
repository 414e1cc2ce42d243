//! `XSTA`: x87, SSE, AVX, AVX-512, PKRU: the XSAVE area with the layout that gives it meaning on another CPU. Owner: the thread.
//! (ptrace NT_X86_XSTATE: the standard, non-compacted format; Intel SDM vol. 1 ch. 13)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Blob, List};
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::Validate;

/// Extended state of one thread.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Xstate {
    /// XCR0 of the CPU it was saved on.
    pub xcr0: Addr,
    /// Where each component beyond the legacy area stands, from CPUID leaf 0xD, sorted by number.
    pub layout: List<Component>,
    /// The area: 512 bytes legacy (FXSAVE), 64 bytes header (XSTATE_BV first), then the components. On a CPU without XSAVE, and for i386
    /// from NT_PRXFPREG, just the first 512 bytes.
    pub area: Blob,
}

/// One component of the area.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Component {
    /// Its number: bit in XCR0 (2 AVX, 5-7 AVX-512, 9 PKRU, 17-18 AMX).
    pub number: u32,
    /// CPUID 0xD ecx.
    pub flags: u32,
    /// Byte offset in the area.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// The legacy region of the XSAVE area.
pub const LEGACY_LEN: usize = 512;

impl Validate for Xstate {
    fn validate(&self) -> Result<(), Violation> {
        let len = self.area.len() as u64;
        ensure(len >= LEGACY_LEN as u64, Rule::XSTATE, || {
            format!("the area has {len} bytes: less than the legacy 512")
        })?;
        ascending(&self.layout, |c| c.number)
            .map_err(|i| Rule::XSTATE.broken(format!("component {i} of the layout is out of order")))?;
        for c in &self.layout {
            let end = u64::from(c.offset) + u64::from(c.size);
            ensure(end <= len, Rule::XSTATE, || format!("component {} ends at {end}, the area at {len}", c.number))?;
        }
        Ok(())
    }
}
