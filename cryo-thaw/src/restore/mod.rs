//! Restorers: one module per kind of state, of the same name as its section and its collector.

pub mod actions;
pub mod descriptors;
pub mod epoll;
pub mod eventfd;
pub mod files;
pub mod locks;
pub mod mm;
pub mod outside;
pub mod netlink;
mod paths;
pub mod owners;
pub mod paths;
pub mod pending;
pub mod pidfd;
pub mod pipes;
pub mod process;
pub mod regs;
pub mod signalfd;
mod sockets;
pub mod syscall;
pub mod thread;
pub mod timerfd;
pub mod unix;
mod unix_dgram;
pub mod xstate;
