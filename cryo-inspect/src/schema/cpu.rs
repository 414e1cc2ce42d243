//! What is said of processors: `regs`, `syscall`.

use cryo_format::prim::Addr;
use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::rows::Of;

/// The registers of a process's threads.
#[derive(JsonSchema)]
pub struct Registers {
    /// Each thread.
    #[serde(default)]
    pub threads: Vec<Of<ThreadRegisters>>,
}

/// The registers of a thread.
#[derive(JsonSchema)]
pub struct ThreadRegisters {
    /// General registers.
    pub registers: Option<General>,
    /// x87, SSE, AVX, AVX-512, PKRU: those that are in use, by their names.
    pub extended_registers: Option<Map<String, Value>>,
    /// Segments of thread-local storage (set_thread_area(2)).
    pub thread_local_segments: Option<Value>,
    /// With --lanes: vector registers, lowest lane first.
    pub lanes: Option<Vec<Map<String, Value>>>,
}

/// General registers of x86-64 or i386.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(missing_docs)] // each is the register of its name
pub enum General {
    X86_64 {
        rax: Addr,
        rbx: Addr,
        rcx: Addr,
        rdx: Addr,
        rsi: Addr,
        rdi: Addr,
        rbp: Addr,
        rsp: Addr,
        r8: Addr,
        r9: Addr,
        r10: Addr,
        r11: Addr,
        r12: Addr,
        r13: Addr,
        r14: Addr,
        r15: Addr,
        rip: Addr,
        orig_rax: Option<u64>,
        rflags: Addr,
        fs_base: Addr,
        gs_base: Addr,
        #[serde(flatten)]
        both: Both,
    },
    I386 {
        eax: Addr,
        ebx: Addr,
        ecx: Addr,
        edx: Addr,
        esi: Addr,
        edi: Addr,
        ebp: Addr,
        esp: Addr,
        eip: Addr,
        orig_eax: Option<u64>,
        eflags: Addr,
        #[serde(flatten)]
        both: Both,
    },
}

/// What both machines have, and what is said of it.
#[derive(JsonSchema)]
pub struct Both {
    /// What is mapped at the instruction pointer.
    pub at: Option<String>,
    /// What is mapped at the stack pointer.
    pub stack: Option<String>,
    /// The error that the result stands for.
    pub error: Option<String>,
    /// Flags that are set.
    pub flags: String,
    /// A selector.
    pub cs: Addr,
    /// A selector.
    pub ss: Addr,
    /// A selector.
    pub ds: Addr,
    /// A selector.
    pub es: Addr,
    /// A selector.
    pub fs: Addr,
    /// A selector.
    pub gs: Addr,
}

/// What a thread was doing.
#[derive(JsonSchema)]
pub struct Doing {
    /// Its id.
    pub tid: Option<u64>,
    /// Its name.
    pub name: String,
    /// The system call with its arguments, or where it ran.
    pub call: String,
    /// How the call goes on after a thaw.
    pub then: String,
    /// Nanoseconds that are left of a sleep or a wait.
    pub left: Option<u64>,
}
