//! A process in our hands: seized and stopped ([`process`], [`stopped`]), asked by system calls made inside it ([`remote`]), copied
//! ([`forked_copy`]), or started by us to become another one ([`host`]).

pub mod arch;
pub(crate) mod children;
pub mod family;
pub mod fault;
pub mod forked_copy;
pub mod guardian;
pub mod host;
pub mod interrupted;
pub mod kill_on_close;
pub mod mem;
pub mod orphan;
mod owned;
pub mod page_faults;
pub mod process;
pub mod remote;
mod rseq;
pub mod stopped;
pub mod tracees;
mod userfaultfd;
pub mod write_watch;
