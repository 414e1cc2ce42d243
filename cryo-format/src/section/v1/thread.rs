//! `THRD` version 1: what the kernel keeps for one thread beside its registers. Owner: the thread.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Bytes};
use crate::rules::{Rule, Violation, ensure};
use crate::section::{Validate, thread};

/// One thread.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Thread {
    /// Local id of its process.
    pub process: u64,
    /// Thread id in the freezer's pid namespace.
    pub tid: u64,
    /// prctl(PR_GET_NAME).
    pub comm: Bytes,
    /// Blocked signals, bit n-1 for signal n.
    pub sigmask: Addr,
    /// sigaltstack(2): base.
    pub altstack_sp: Addr,
    /// sigaltstack(2): size in bytes.
    pub altstack_size: u64,
    /// sigaltstack(2): SS_DISABLE 2, SS_AUTODISARM 1<<31.
    pub altstack_flags: u64,
    /// set_tid_address(2): cleared and woken at the thread's exit.
    pub clear_child_tid: Addr,
    /// get_robust_list(2): head; 0 for none.
    pub robust_list: Addr,
    /// get_robust_list(2): size of the head.
    pub robust_list_len: u64,
    /// rseq(2): the registered area; 0 for none.
    pub rseq: Addr,
    /// rseq(2): its size.
    pub rseq_size: u32,
    /// rseq(2): the signature before abort handlers.
    pub rseq_signature: u32,
    /// 1 for a main thread that has exited while others run: it has no registers, and of all this only its ids and its name count.
    pub exited: u32,
    /// Its exit status, as wait(2) has it; 0 for a thread that runs.
    pub exit_code: u32,
}

impl Validate for Thread {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.process != 0, Rule::THREAD_PROCESS, || "the thread has no process")?;
        ensure(self.exited <= 1, Rule::VALUE, || format!("`exited` is {}, not 0 or 1", self.exited))?;
        ensure(self.exited == 1 || self.exit_code == 0, Rule::RESERVED, || "a thread that runs has an exit status")
    }
}

impl From<Thread> for thread::Thread {
    /// Releases that wrote version 1 did not look for what version 2 added.
    fn from(v1: Thread) -> Self {
        Self {
            process: v1.process,
            tid: v1.tid,
            comm: v1.comm,
            sigmask: v1.sigmask,
            altstack_sp: v1.altstack_sp,
            altstack_size: v1.altstack_size,
            altstack_flags: v1.altstack_flags,
            clear_child_tid: v1.clear_child_tid,
            robust_list: v1.robust_list,
            robust_list_len: v1.robust_list_len,
            rseq: v1.rseq,
            rseq_size: v1.rseq_size,
            rseq_signature: v1.rseq_signature,
            exited: v1.exited,
            exit_code: v1.exit_code,
            dispatch_mode: 0,
            dispatch_selector: Addr(0),
            dispatch_offset: Addr(0),
            dispatch_len: 0,
        }
    }
}
