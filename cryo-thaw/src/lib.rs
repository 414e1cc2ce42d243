//! Image → process.
//!
//! Read the .frore and the .frost → [`check`] that this machine can → start a [`host`] → [`remap`] it into the template's shape → [`fill`] it with
//! pages → bring back what the kernel keeps (one restorer per kind of state, in [`restore`]) → registers → let it go.
//!
//! Until the last step the host is ours: whatever fails, nothing is left behind.

mod births;
mod bound_files;
pub mod check;
pub mod choices;
pub mod cli;
mod common;
mod elapsed;
mod error;
mod file_map;
pub mod fill;
mod finish;
pub mod foreground;
pub mod host;
pub mod ice;
mod identity;
pub mod ids;
mod kept_pages;
mod lazy;
mod nameless;
pub mod notes;
pub mod options;
pub mod original;
mod personality;
pub mod pid_file;
pub mod plan;
mod posix_shm;
pub mod prepared;
mod ready;
pub mod rehearsal;
pub mod remap;
pub mod restore;
mod same_file;
pub mod stand;
mod stdin;
mod sysv;
pub mod templates;
pub mod thaw;
mod unlinked;
pub mod vdso;

pub use error::{Error, Refusal, RefusalKind, Refusals, Result};
pub use notes::{Kept, Notes};
pub use options::{Options, Pid, Road};
pub use ready::{Handed, Ready, Thawed};
pub use thaw::thaw;

/// Exit status of a thaw that did not come about, as of other commands that start programs (env, nohup, timeout).
pub const FAILED: i32 = 125;
