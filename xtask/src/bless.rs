//! Re-recording what the tools print, for review in `git diff`.

use std::{fs, time::Duration};

use anyhow::Result;

use crate::run::{cargo, check, root, show};

/// Runs the tests of every crate that has snapshots, and lets them overwrite.
pub fn bless() -> Result<()> {
    for entry in fs::read_dir(root())? {
        let dir = entry?.path();
        let Ok(manifest) = fs::read_to_string(dir.join("Cargo.toml")) else { continue };
        let Some(name) = dir.file_name().and_then(|n| n.to_str()) else { continue };
        if dir.join("src").exists() && ["trycmd", "cbindgen"].iter().any(|made| manifest.contains(made)) {
            let mut cmd = cargo(&["test", "--package", name]);
            cmd.env("TRYCMD", "overwrite").env("INSTA_UPDATE", "always");
            show(&cmd);
            check(&mut cmd, Duration::from_mins(20))?;
        }
    }
    println!("Done. Read `git diff` before you commit it.");
    Ok(())
}
