//! The recorded images in fixtures/vN: adding to them, and proving that none was ever changed.
//!
//! `MANIFEST` has a line for each file: name, SHA-256, the commit that recorded it, the kernel it was recorded on.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    install::{Need, ensure},
    run::{Guard, bare, capture, cargo, check as succeed, root, show},
};

/// The format version that this checkout writes.
const VERSION: &str = "v1";
const SOON: Duration = Duration::from_mins(1);

/// A program, and how it is frozen for the collection.
struct Recipe {
    /// Of the recorded set, and of its source in xtask/fixtures/.
    name: &'static str,
    cflags: &'static [&'static str],
    freeze: &'static [&'static str],
}

/// Small ones: every clone of the project carries them for ever.
const RECIPES: &[Recipe] = &[
    Recipe {
        name: "smallest",
        cflags: &["-static", "-nostdlib", "-Wl,-z,noseparate-code,--build-id=none"],
        freeze: &[],
    },
    Recipe { name: "refer", cflags: &["-O1"], freeze: &["--files", "refer"] },
    Recipe { name: "rich", cflags: &["-O1", "-static", "-pthread"], freeze: &["--files", "refer"] },
];

/// Checks this checkout's fixtures.
pub fn check() -> Result<()> {
    let (files, problems) = problems(&root())?;
    if !problems.is_empty() {
        bail!("recorded images are for ever, add new ones instead:\n  {}", problems.join("\n  "));
    }
    println!("{files} recorded files, all as their MANIFEST says.");
    Ok(())
}

/// How many recorded files there are, and what is wrong with them.
fn problems(root: &Path) -> Result<(usize, Vec<String>)> {
    let mut files = 0;
    let mut problems = Vec::new();
    for dir in versions(root)? {
        let mut listed = manifest(&dir)?;
        for (name, actual) in hashes(&dir)? {
            files += 1;
            let path = dir.join(&name);
            match listed.remove(&name) {
                None => problems.push(format!("{}: not in MANIFEST", path.display())),
                Some(hash) if hash != actual => {
                    problems.push(format!("{}: is {actual}, MANIFEST says {hash}", path.display()));
                }
                Some(_) => {}
            }
        }
        problems.extend(listed.keys().map(|name| format!("{}: in MANIFEST, but not there", dir.join(name).display())));
    }
    match history(root) {
        Ok(found) => problems.extend(found),
        Err(_) => println!("No full git history here: compared the files with MANIFEST only."),
    }
    Ok((files, problems))
}

/// What git knows to have been changed since it was added.
fn history(root: &Path) -> Result<Vec<String>> {
    let git = |args: &[&str]| {
        capture(Command::new("git").arg("-C").arg(root).args(args).stdin(Stdio::null()).stderr(Stdio::null()), SOON)
    };
    if git(&["rev-parse", "--is-shallow-repository"])?.trim() != "false" {
        bail!("a shallow clone");
    }
    let images = [":(glob)fixtures/v*/**", ":(exclude,glob)fixtures/v*/MANIFEST"];
    let manifests = ":(glob)fixtures/v*/MANIFEST";
    let mut found = Vec::new();
    let changed = git(&[
        "log",
        "--no-renames",
        "--diff-filter=MDT",
        "--format=commit %h",
        "--name-only",
        "--",
        images[0],
        images[1],
    ])?;
    let mut commit = "";
    for line in changed.lines().filter(|l| !l.is_empty()) {
        match line.strip_prefix("commit ") {
            Some(id) => commit = id,
            None => found.push(format!("{line}: changed by {commit}")),
        }
    }
    // A MANIFEST only grows: no line of it may ever have gone. The second looks at what is not committed yet.
    for args in [&["log", "--no-renames", "--format=", "-p", "--", manifests][..], &["diff", "HEAD", "--", manifests]] {
        let removed = git(args)?;
        let removed = removed.lines().filter(|l| l.starts_with('-') && !l.starts_with("---"));
        found.extend(removed.map(|l| format!("MANIFEST lost the line: {}", &l[1..])));
    }
    Ok(found)
}

fn versions(root: &Path) -> Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for entry in fs::read_dir(root.join("fixtures"))? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|n| n.strip_prefix('v'));
        if number.is_some_and(|n| n.parse::<u32>().is_ok()) {
            dirs.push(entry.path());
        }
    }
    dirs.sort();
    Ok(dirs)
}

fn manifest(dir: &Path) -> Result<BTreeMap<String, String>> {
    let path = dir.join("MANIFEST");
    let file = fs::File::open(&path).with_context(|| path.display().to_string())?;
    let mut listed = BTreeMap::new();
    for (n, line) in BufReader::new(file).lines().enumerate() {
        let line = line?;
        let [name, hash, _commit, _kernel] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            bail!("{}:{}: not `file sha256 commit kernel`", path.display(), n + 1);
        };
        if listed.insert(name.to_owned(), hash.to_owned()).is_some() {
            bail!("{}:{}: {name} is listed twice", path.display(), n + 1);
        }
    }
    Ok(listed)
}

/// SHA-256 of every file of a version.
fn hashes(dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if name != "MANIFEST" {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sums = capture(Command::new("sha256sum").arg("--").args(&names).current_dir(dir), SOON)?;
    let pair = |l: &str| l.split_once("  ").map(|(hash, name)| (name.to_owned(), hash.to_owned()));
    Ok(sums.lines().filter_map(pair).collect())
}

/// Records what is not recorded yet.
pub fn record() -> Result<()> {
    ensure(&[Need { package: "gcc", proof: "/usr/bin/gcc", why: "compiles what is frozen" }])?;
    let dir = root().join("fixtures").join(VERSION);
    fs::create_dir_all(&dir)?;
    succeed(&mut cargo(&["build", "--release", "--locked", "--bins"]), Duration::from_mins(20))?;
    let scratch = tempfile::tempdir()?;
    let commit = capture(
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).current_dir(root()),
        SOON,
    )?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    for recipe in RECIPES {
        if dir.join(recipe.name).with_extension("freeze").exists() {
            println!("{}: recorded already, left as it is", recipe.name);
            continue;
        }
        let set = recipe.freeze_into(scratch.path())?;
        let mut list = fs::OpenOptions::new().append(true).create(true).open(dir.join("MANIFEST"))?;
        for (name, hash) in hashes(&set)? {
            // copy would overwrite: nothing here may.
            let mut to = fs::File::create_new(dir.join(&name)).with_context(|| name.clone())?;
            to.write_all(&fs::read(set.join(&name))?)?;
            writeln!(list, "{name} {hash} {} {}", commit.trim(), kernel.trim())?;
            println!("{}", dir.join(name).display());
        }
    }
    Ok(())
}

impl Recipe {
    /// Compiles, starts and freezes the program; the result is the folder that the set is in.
    fn freeze_into(&self, scratch: &Path) -> Result<PathBuf> {
        let program = scratch.join(self.name);
        let source = root().join("xtask/fixtures").join(self.name).with_extension("c");
        let mut gcc = Command::new("gcc");
        succeed(gcc.args(self.cflags).arg("-o").arg(&program).arg(source), SOON)?;
        // Without an environment: the image is public, and the same everywhere. It writes a line when it is ready.
        let mut start = bare("env");
        start.arg("-i").arg(&program).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = Guard(start.spawn()?);
        let pipe = child.0.stdout.take().context("no stdout")?;
        BufReader::new(pipe).read_line(&mut String::new())?;
        let set = scratch.join(format!("{}.set", self.name));
        fs::create_dir(&set)?;
        let mut freeze = Command::new(root().join("target/release/cryo-freeze"));
        freeze.arg(child.0.id().to_string()).arg("-o").arg(set.join(self.name)).args(self.freeze);
        show(&freeze);
        succeed(freeze.stdout(Stdio::null()), SOON)?;
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(root: &Path, args: &[&str]) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
        let status = Command::new("git").arg("-C").arg(root).args(identity).args(args).status().unwrap();
        assert!(status.success(), "git {args:?}");
    }

    fn list(dir: &Path) {
        let lines: Vec<String> =
            hashes(dir).unwrap().iter().map(|(name, hash)| format!("{name} {hash} c0ffee 6.1\n")).collect();
        fs::write(dir.join("MANIFEST"), lines.concat()).unwrap();
    }

    #[test]
    fn a_changed_fixture_is_found_by_hash_and_by_history() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let dir = root.join("fixtures/v1");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("a.freeze"), "one").unwrap();
        list(&dir);
        git(root, &["init", "-q"]);
        git(root, &["add", "fixtures"]);
        git(root, &["commit", "-qm", "add"]);
        assert_eq!(problems(root).unwrap(), (1, vec![]));

        fs::write(dir.join("a.freeze"), "two").unwrap();
        let (_, found) = problems(root).unwrap();
        assert!(found.iter().any(|p| p.contains("MANIFEST says")), "{found:?}");

        // One who changes the MANIFEST too is found by git, before the commit and after.
        list(&dir);
        let (_, found) = problems(root).unwrap();
        assert!(found.iter().any(|p| p.contains("lost the line: a.freeze")), "{found:?}");
        git(root, &["commit", "-qam", "change"]);
        let (_, found) = problems(root).unwrap();
        assert!(found.iter().any(|p| p.starts_with("fixtures/v1/a.freeze: changed by")), "{found:?}");
    }

    #[test]
    fn a_file_nobody_listed_and_a_listed_one_that_is_gone_are_found() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("fixtures/v2");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("a.freeze"), "one").unwrap();
        list(&dir);
        fs::rename(dir.join("a.freeze"), dir.join("b.freeze")).unwrap();
        let (files, found) = problems(root.path()).unwrap();
        assert_eq!((files, found.len()), (1, 2), "{found:?}");
    }
}
