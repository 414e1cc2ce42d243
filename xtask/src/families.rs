//! `cargo xtask families`: real families, each frozen at random moments, as a table.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Result, bail};

use crate::{
    report::table,
    run::{cargo, check, show},
};

const LIMIT: Duration = Duration::from_mins(90);

/// Freezes each at so many moments, and prints how many of them were right. `watched`: real programs, too, and all are started by an overseer, whose view has to be
/// the kernel's when they are frozen, once. The packages are those of `cargo xtask test`.
pub fn families(moments: usize, watched: bool, filter: &[String]) -> Result<()> {
    crate::test::ready()?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("table");
    let mut test = cargo(&["test", "--locked", "--quiet", "--workspace", "--no-fail-fast"]);
    test.args(["--test", "families", "--test", "family_servers"]);
    if watched {
        test.args(["--test", "real"]).env("CRYO_WATCHED", "1");
    }
    test.arg("--").args(filter);
    let moments = if watched { 1 } else { moments };
    test.env("CRYO_TABLE", &path).env("CRYO_MOMENTS", moments.to_string());
    show(crate::test::built(&mut test));
    let done = check(&mut test, LIMIT);
    let text = fs::read_to_string(&path).unwrap_or_default();
    // As they come to an end, so they are written; sorted, the two users of one are together.
    let rows: BTreeSet<Vec<String>> = text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
    if rows.is_empty() {
        bail!("no family was frozen");
    }
    println!("{}", table(&["family", "as", "moments tried", "right"], &rows.into_iter().collect::<Vec<_>>()));
    done
}
