//! The kernel's interfaces, one file for each: system calls that neither std nor rustix has, with types around their structures.

pub mod cpu;
pub mod fds;
pub mod fs_rights;
pub mod hugetlb;
pub mod keys;
pub mod limits;
pub mod magic;
pub mod mqueue;
pub mod repair;
pub mod sched;
pub mod seccomp;
pub mod signals;
pub mod sock_diag;
pub mod sockets;
pub(crate) mod sys;
pub mod sysv;
pub mod timens;
pub mod tty;
pub(crate) mod version;
