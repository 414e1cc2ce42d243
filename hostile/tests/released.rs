//! Readers of former releases: a set with a kind of section, or a version of one, that came later is refused by name, so that nothing is lost in silence; what
//! may be passed over is.
//!
//! `cargo xtask released` builds them from their commits and runs this.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use cryo_format::Kind;
use cryo_format::section::{Info, SECTIONS};
use hostile::Set;
use hostile::set::Chunk;

/// `CRYO_RELEASED`: a directory with the release's sources in `src` and its tools in `target/debug`.
#[test]
#[ignore = "cargo xtask released builds the tools of former releases and runs it"]
fn what_came_later_is_refused_by_name() -> Result<()> {
    let release = PathBuf::from(std::env::var_os("CRYO_RELEASED").context("CRYO_RELEASED: cargo xtask released")?);
    let table = std::fs::read_to_string(release.join("src/cryo-format/src/table.rs"))?;
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    let table: Vec<String> = table.lines().map(words).collect();
    let known = |info: &Info| {
        let entry = format!("b\"{}\" {} ", String::from_utf8_lossy(&info.kind.0), info.version);
        table.iter().any(|line| line.contains(&words(&entry)))
    };
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/v1/smallest.freeze");
    let dir = tempfile::tempdir()?;
    let image = dir.path().join("set.freeze");
    let asked = |tool: &str, args: &[&str]| -> Result<Output> {
        let tool = release.join("target/debug").join(tool);
        Command::new(&tool).args(args).arg(&image).output().with_context(|| tool.display().to_string())
    };
    // It reads what it can.
    Set::open(&seed)?.store(&image)?;
    ensure!(asked("cryo-inspect", &["verify"])?.status.success(), "it does not read its own set");

    let (mut refused, mut passed_over) = (0, 0);
    for info in SECTIONS.iter().filter(|info| !known(info)) {
        let mut set = Set::open(&seed)?;
        let owner = u64::from(info.scope as u8 != 0);
        let file = set.files.iter_mut().find(|f| f.header[9] == info.profile as u8).context("no such file")?;
        let (kind, version, flags) = (info.kind, info.version, info.flags);
        file.chunks.push(Chunk { kind, version, flags, owner, payload: Vec::new(), raw: None, digest: true });
        set.store(&image)?;
        let name = String::from_utf8_lossy(&info.kind.0).trim_end().to_owned();
        let (shown, thawed) = (asked("cryo-inspect", &["verify"])?, asked("cryo-thaw", &["--pid", "new", "--detach"])?);
        if flags.is_critical() {
            for said in [&shown, &thawed] {
                let text = [&said.stdout[..], &said.stderr].concat();
                let text = String::from_utf8_lossy(&text);
                ensure!(
                    !said.status.success() && text.contains(&name),
                    "{name} version {version}: {}: {text}",
                    said.status
                );
            }
            refused += 1;
        } else {
            let text = String::from_utf8_lossy(&shown.stderr);
            ensure!(shown.status.success(), "{name} version {version} is to be passed over: {text}");
            passed_over += 1;
        }
    }
    // Pages that are compressed.
    let mut set = Set::open(&seed)?;
    set.chunk(Kind::DATA)?.compress();
    set.store(&image)?;
    for (tool, args) in [("cryo-inspect", &["verify"][..]), ("cryo-thaw", &["--pid", "new", "--detach"])] {
        let said = asked(tool, args)?;
        let text = [&said.stdout[..], &said.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        ensure!(!said.status.success() && text.contains("compressed with zstd"), "zstd: {}: {text}", said.status);
    }
    println!("{refused} refused by name, {passed_over} passed over");
    ensure!(refused > 0, "nothing came later than that release: it cannot be one of before");
    Ok(())
}
