//! Blocks, drawn: [`text`] for people, [`json`] and [`rows`] for programs, [`html`] for browsers.

mod format;
pub mod html;
pub mod json;
pub mod rows;
pub mod style;
pub mod text;

pub use format::Format;
