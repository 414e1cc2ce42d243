//! The library, built and installed as a user has it.
#![allow(dead_code)] // every test file uses its part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A file of this crate.
pub fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Where the commands are.
pub fn bins() -> PathBuf {
    // Built, if they are not.
    fixtures::tools::tool("cryo-freeze").unwrap();
    fixtures::tools::profile_dir().unwrap()
}

/// The library, installed in a directory of its own, and where it works.
pub struct Installed {
    pub dir: tempfile::TempDir,
}

impl Installed {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let built = bins();
        let (target, profile) = (built.parent().unwrap(), built.file_name().unwrap().to_str().unwrap());
        let flags = if profile == "release" { "--release" } else { "" };
        let mut make = Command::new("make");
        make.arg("-C").arg(here("")).args(["install", "prefix=/usr"]);
        make.arg(format!("PROFILE={profile}")).arg(format!("CARGO_FLAGS={flags}"));
        make.arg(format!("DESTDIR={}", dir.path().display())).arg(format!("CARGO_TARGET_DIR={}", target.display()));
        make.arg(format!("OUT={}/out", dir.path().display()));
        good(&make.output().unwrap());
        Self { dir }
    }

    pub fn lib(&self) -> PathBuf {
        self.dir.path().join("usr/lib")
    }

    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        // Without what this test has inherited itself: a pipe of whoever runs it would be refused.
        let close = r#"for fd in /proc/$$/fd/*; do n=${fd##*/}; [ "$n" -gt 2 ] && eval "exec $n>&-"; done; exec "$@""#;
        let mut command = Command::new("bash");
        command.args(["-c", close, "-"]).arg(program);
        command.env("CRYO_BIN_DIR", bins()).env("LD_LIBRARY_PATH", self.lib());
        command.env("LIBCRYO", self.lib().join("libcryo.so.1")).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Compiles an example, with what pkg-config says or against the static library.
    pub fn compile(&self, name: &str, fixed: bool) -> PathBuf {
        self.compile_at(&format!("examples/{name}.c"), name, fixed)
    }

    /// The same with a source anywhere in this crate.
    pub fn compile_at(&self, source: &str, name: &str, fixed: bool) -> PathBuf {
        let program = self.dir.path().join(name);
        let mut cc = Command::new("gcc");
        cc.args(["-g", "-Wall", "-Werror", "-pedantic", "-o"]).arg(&program).arg(here(source));
        cc.arg("-I").arg(self.dir.path().join("usr/include"));
        if fixed {
            cc.arg(self.lib().join("libcryo.a")).args(["-lgcc_s", "-lpthread", "-lm", "-ldl"]);
        } else {
            cc.arg("-L").arg(self.lib()).arg("-lcryo");
        }
        good(&cc.output().unwrap());
        program
    }
}

/// What it said, if it was well.
pub fn good(out: &Output) -> String {
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{}: {text}{}", out.status, String::from_utf8_lossy(&out.stderr));
    text
}
