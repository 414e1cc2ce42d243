//! Process → image.
//!
//! `seize` every thread → `collect` (one collector per kind of state, in [`collect`]) → stream pages to the writer ([`pages`]) → sync and
//! rename ([`output`]) → and only then let the original go. Whatever fails on the way, the target goes on as if nothing had been.

pub mod choices;
pub mod cli;
pub mod collect;
pub mod confirm;
mod error;
pub mod freeze;
pub mod keeper;
pub mod live;
pub mod options;
pub mod output;
pub mod pages;
pub mod progress;
mod refused;
mod tracer;
mod write;

pub use confirm::Confirm;
pub use error::{Error, Refusal, RefusalKind, Refusals, Result, Untraceable};
pub use freeze::{Frozen, FrozenProcess, freeze, freeze_traced};
pub use options::{Afterwards, Also, Children, Ends, Files, Landlock, Live, Options, Shared, Tcp};
pub use progress::Progress;
pub use refused::only_we_may_trace;
pub use tracer::{Tracer, View};
