//! Sets that lie, and what every reader of ours has to bear: any bytes at all, without a panic, an endless loop or more memory than bytes
//! like these are worth.
//!
//! [`targets`] are the readers, each a plain function over bytes. [`set`] takes a set apart and puts it together again, with every checksum, root and
//! index made right, so that a lie gets behind the first check. [`mutate`] lies, [`absurd`](mod@absurd) exaggerates.
//!
//! `cargo test -p hostile` runs the targets over the images in `fixtures/v1`, over `corpus/` and over a few thousand mutants; `cargo run -p hostile
//! --release -- --seconds 60` over as many as a minute holds, under limits of memory and time; the workspace in `fuzz/` under libFuzzer.

pub mod absurd;
pub mod mutate;
pub mod random;
pub mod set;
pub mod targets;

pub use random::Random;
pub use set::Set;

use std::path::{Path, PathBuf};

/// What mutants are made of: the recorded sets and the corpus, each as a pipe brings it.
pub fn seeds() -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = Vec::new();
    for freeze in
        files(&here.join("../fixtures/v1"))?.into_iter().filter(|p| p.extension().is_some_and(|x| x == "freeze"))
    {
        let parts = ["frore", "frost", "freeze"].map(|x| std::fs::read(freeze.with_extension(x)));
        let [a, b, c] = parts;
        seeds.push((freeze, [a?, b?, c?].concat()));
    }
    for file in files(&here.join("corpus"))? {
        let bytes = std::fs::read(&file)?;
        seeds.push((file, bytes));
    }
    Ok(seeds)
}

fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files: Vec<_> = std::fs::read_dir(dir)?.map(|e| Ok(e?.path())).collect::<anyhow::Result<_>>()?;
    files.sort();
    Ok(files)
}
