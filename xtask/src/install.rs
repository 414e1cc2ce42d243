//! What a chore needs from the system, and fetching what is missing through apt-get.

use std::{path::Path, process::Command, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};

use crate::run;

/// A package, what shows that it is there, and why it is needed.
#[derive(Clone, Copy)]
pub struct Need {
    pub package: &'static str,
    /// A file; without a slash, a program anywhere in the PATH.
    pub proof: &'static str,
    pub why: &'static str,
}

impl Need {
    fn is_there(&self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Joined to an absolute path it is that path itself.
        std::env::split_paths(&path).any(|dir| dir.join(self.proof).exists())
    }
}

/// Installs what is missing, and says so. A second run finds everything and installs nothing.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|n| !n.is_there()).collect();
    if missing.is_empty() {
        let names: Vec<&str> = needs.iter().map(|n| n.package).collect();
        println!("Nothing to install: {} {} here.", names.join(", "), if names.len() == 1 { "is" } else { "are" });
        return Ok(());
    }
    let width = missing.iter().map(|n| n.package.len()).max().unwrap_or(0);
    println!("Missing on this machine:");
    for need in &missing {
        println!("  {:width$}  {}", need.package, need.why);
    }
    apt_get(&missing.iter().map(|n| n.package).collect::<Vec<_>>())?;
    for need in missing {
        if !need.is_there() {
            bail!("package {} is installed, but {} is not there", need.package, need.proof);
        }
    }
    Ok(())
}

/// Learns of new versions of packages.
pub fn update() -> Result<()> {
    let mut cmd = command(&["update"]);
    run::show(&cmd);
    run::check(cmd.stdout(Stdio::null()), LIMIT)
}

const LIMIT: Duration = Duration::from_mins(15);

fn apt_get(packages: &[&str]) -> Result<()> {
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("there is no apt-get here: install these by the means of your system: {}", packages.join(" "));
    }
    let by_hand = || format!("to install by hand (as root): apt-get install {}", packages.join(" "));
    update().with_context(by_hand)?;
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(packages);
    let mut cmd = command(&install);
    run::show(&cmd);
    // dpkg's progress is not ours to print; what goes wrong is on stderr.
    run::check(cmd.stdout(Stdio::null()), LIMIT).with_context(by_hand)
}

fn command(args: &[&str]) -> Command {
    let root = rustix::process::geteuid().is_root();
    let mut cmd = Command::new(if root { "apt-get" } else { "sudo" });
    if root {
        cmd.stdin(Stdio::null());
    } else {
        cmd.arg("apt-get");
    }
    cmd.args(["-o", "DPkg::Lock::Timeout=120", "-qq"]).args(args).env("DEBIAN_FRONTEND", "noninteractive");
    cmd
}
