//! `cargo xtask demo --migrate`: the seed's example, a family of three, moves from one host to another while its processes talk to each other.

use std::{process::Command, time::Duration};

use anyhow::Result;

use crate::{
    demo::{Stage, title},
    install::{Need, ensure},
    run::{cargo, check, root, show},
};

const NEEDS: &[Need] = &[
    Need { package: "gcc", proof: "/usr/bin/gcc", why: "builds the program, and links what Rust builds" },
    Need { package: "libc6-dev", proof: "/usr/include/stdio.h", why: "is what they are linked with" },
    Need { package: "util-linux", proof: "/usr/bin/unshare", why: "makes hosts of namespaces" },
    Need { package: "iproute2", proof: "ip", why: "lays a cable between them" },
    Need { package: "busybox-static", proof: "/bin/busybox", why: "has the nc that sends over it" },
];

const BUILD: Duration = Duration::from_mins(20);
const LIMIT: Duration = Duration::from_mins(2);

/// Runs it; an error is a program that did not come to its right end.
pub fn migrate() -> Result<()> {
    title("What this machine still needs");
    ensure(NEEDS)?;
    title("Build");
    let mut build = cargo(&["build", "--release", "--locked", "--bin", "overseer", "--bin", "cryo-thaw"]);
    show(&build);
    check(&mut build, BUILD)?;
    let stage = Stage::new(&["overseer", "cryo-thaw"], &["theprog.c", "migrate.sh"])?;
    let mut cc = Command::new("gcc");
    cc.args(["-O1", "-o"]).arg(stage.path().join("theprog")).arg(root().join("xtask/demo/theprog.c"));
    show(&cc);
    check(&mut cc, LIMIT)?;
    title("From alpha to beta");
    let words = ["unshare", "--user", "--map-root-user", "--net", "--mount", "bash", "migrate.sh"];
    check(&mut stage.command(&words), LIMIT)
}
