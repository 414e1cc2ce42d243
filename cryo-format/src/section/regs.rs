//! `RX64` and `RI32`: general registers as ptrace's NT_PRSTATUS hands them over. Owner: the thread. (sys/user.h)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Addr;
use crate::section::Validate;

/// x86-64: `struct user_regs_struct`, 27 words.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs)] // the registers' own names
pub struct RegsX86_64 {
    pub r15: Addr,
    pub r14: Addr,
    pub r13: Addr,
    pub r12: Addr,
    pub rbp: Addr,
    pub rbx: Addr,
    pub r11: Addr,
    pub r10: Addr,
    pub r9: Addr,
    pub r8: Addr,
    pub rax: Addr,
    pub rcx: Addr,
    pub rdx: Addr,
    pub rsi: Addr,
    pub rdi: Addr,
    pub orig_rax: Addr,
    pub rip: Addr,
    pub cs: Addr,
    pub eflags: Addr,
    pub rsp: Addr,
    pub ss: Addr,
    pub fs_base: Addr,
    pub gs_base: Addr,
    pub ds: Addr,
    pub es: Addr,
    pub fs: Addr,
    pub gs: Addr,
}

/// i386: `struct user_regs_struct` of a 32-bit process, 17 words of 4 bytes.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs)] // the registers' own names
pub struct RegsI386 {
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
    pub esi: u32,
    pub edi: u32,
    pub ebp: u32,
    pub eax: u32,
    pub ds: u32,
    pub es: u32,
    pub fs: u32,
    pub gs: u32,
    pub orig_eax: u32,
    pub eip: u32,
    pub cs: u32,
    pub eflags: u32,
    pub esp: u32,
    pub ss: u32,
}

impl Validate for RegsX86_64 {}

impl Validate for RegsI386 {}
