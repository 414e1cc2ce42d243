//! Manual pages and completions, as packages carry them.

use std::{fs, process::Stdio, time::Duration};

use anyhow::Result;

use crate::run::{cargo, check, root, show};

const LIMIT: Duration = Duration::from_mins(20);

/// Writes target/man/man1 and target/completions.
pub fn man() -> Result<()> {
    let run = ["run", "--quiet", "--package", "cryo-inspect", "--"];
    let pages = root().join("target/man/man1");
    let mut cmd = cargo(&run);
    cmd.args(["man", "-o"]).arg(&pages);
    show(&cmd);
    check(&mut cmd, LIMIT)?;
    let dir = root().join("target/completions");
    fs::create_dir_all(&dir)?;
    for shell in ["bash", "zsh", "fish"] {
        let mut cmd = cargo(&run);
        cmd.args(["completions", shell])
            .stdout(Stdio::from(fs::File::create(dir.join(format!("cryo-inspect.{shell}")))?));
        check(&mut cmd, LIMIT)?;
    }
    println!("{}, {}", pages.display(), dir.display());
    Ok(())
}
