//! Blocks, drawn: [`text`] for people, [`json`] and [`rows`] for programs.

pub mod json;
pub mod rows;
pub mod style;
pub mod text;
