//! (in building)
fn main() {}
