//! The kernel of the second machine that `fixtures/tests/machine.rs` boots. It is unpacked into `target/`: installed, it would become this machine's own.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    install,
    run::{capture, check, root, show},
};

const PACKAGE: &str = "linux-image-cloud-amd64";
const LIMIT: Duration = Duration::from_mins(5);

/// Fetches it, once. Without it the tests that need it stand ignored, and say so.
pub fn fetch() {
    let dir = root().join("target/machine");
    if dir.join("vmlinuz").exists() {
        return;
    }
    println!("Missing in target/machine:\n  vmlinuz  (of Debian's {PACKAGE}) is booted by QEMU as another machine");
    // What is known of the packages may be old.
    let fetched = unpack(&dir).or_else(|_| install::update().and_then(|()| unpack(&dir)));
    if let Err(e) = fetched {
        println!("No kernel, so the tests that need another machine are ignored: {e:#}");
    }
}

fn unpack(dir: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir)?;
    // That package only depends on the one of the newest version.
    let text = capture(Command::new("apt-cache").args(["depends", PACKAGE]), LIMIT)?;
    let package = text.lines().find_map(|l| l.trim().strip_prefix("Depends: linux-image-"));
    let package = format!("linux-image-{}", package.with_context(|| format!("apt-get knows no {PACKAGE}"))?);
    let mut download = Command::new("apt-get");
    download.current_dir(dir).args(["-o", "APT::Sandbox::User=root", "-qq", "download", &package]).stdin(Stdio::null());
    show(&download);
    check(&mut download, LIMIT)?;
    let only = |dir: &Path, begin: &str| {
        let found = fs::read_dir(dir)?.flatten().map(|e| e.path());
        let named = |p: &std::path::PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(begin));
        found.into_iter().find(named).with_context(|| format!("no {begin} in {}", dir.display()))
    };
    let deb = only(dir, "linux-image-")?;
    check(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(dir.join("all")), LIMIT)?;
    fs::copy(only(&dir.join("all/boot"), "vmlinuz-")?, dir.join("new"))?;
    fs::remove_dir_all(dir.join("all"))?;
    fs::remove_file(deb)?;
    Ok(fs::rename(dir.join("new"), dir.join("vmlinuz"))?)
}
