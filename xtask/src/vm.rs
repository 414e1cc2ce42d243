//! The kernels under which `fixtures/tests/overseer.rs` tests the module: Debian's packages, unpacked into `target/machine`, with the headers that modules are
//! built with. Nothing is installed.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::run::{capture, cargo, check, root, show};

/// A suite of Debian, which has one kernel.
struct Kernel {
    name: &'static str,
    suite: &'static str,
}

const KERNELS: [Kernel; 3] = [
    Kernel { name: "6.1", suite: "bookworm" },
    Kernel { name: "6.12", suite: "bookworm-backports" },
    Kernel { name: "7.2", suite: "sid" },
];

/// Besides the image and the headers, what of their dependencies is unpacked.
const PARTS: [&str; 5] = ["linux-headers-", "linux-kbuild-", "linux-compiler-", "linux-binary-", "linux-modules-"];
/// What the programs in newer headers are linked with.
const LIBRARIES: [&str; 4] = ["libc6", "libelf1t64", "zlib1g", "libzstd1"];
const LIMIT: Duration = Duration::from_mins(5);
const TESTS: Duration = Duration::from_mins(20);
const ALL: Duration = Duration::from_hours(5);

/// `cargo xtask test-vm`.
pub fn test_vm(all: bool, bench: bool, args: &[String]) -> Result<()> {
    crate::test::vm_needs()?;
    crate::kernel::fetch();
    fetch();
    crate::test::build()?;
    let mut test = cargo(&["test", "--workspace", "--locked", "--test", "overseer", "--", "--nocapture"]);
    // One machine at a time: each takes a whole CPU, and there are limits.
    test.arg("--test-threads=1").args(args);
    if all {
        test.env("CRYO_ROADS", "all");
    }
    if bench {
        test.env("CRYO_BENCH", "1");
    }
    show(crate::test::built(&mut test));
    check(&mut test, if all { ALL } else { TESTS })
}

/// Fetches what is not there, once. Without one the test of it stands ignored, and says so.
pub fn fetch() {
    for kernel in KERNELS {
        let dir = root().join("target/machine").join(kernel.name);
        if dir.join("vmlinuz").exists() {
            continue;
        }
        println!(
            "Missing in target/machine:\n  {}  (of Debian's {}) is booted to test the kernel module",
            kernel.name, kernel.suite
        );
        if let Err(e) = unpack(&kernel, &dir) {
            println!("No kernel {}, SO THE MODULE IS NOT TESTED UNDER IT: {e:#}", kernel.name);
        }
    }
}

fn unpack(kernel: &Kernel, dir: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(dir);
    let apt = Apt::new(kernel, dir)?;
    let image = apt.depends("linux-image-cloud-amd64", "linux-image-")?;
    let headers = apt.depends("linux-headers-cloud-amd64", "linux-headers-")?;
    let mut packages = vec![image.clone(), headers.clone()];
    for package in [&image, &headers] {
        packages.extend(apt.all_depends(package)?.into_iter().filter(|p| PARTS.iter().any(|part| p.starts_with(part))));
    }
    packages.sort();
    packages.dedup();
    apt.download(&packages)?;
    let all = dir.join("all");
    extract(&apt.dir, &all)?;
    let source = all.join("usr/src");
    let here = source.join(&headers);
    let common = only(&source, |n| n.starts_with("linux-headers-") && n.ends_with("-common"))?;
    // It names /usr/src.
    let makefile = fs::read_to_string(here.join("Makefile"))?;
    fs::write(here.join("Makefile"), makefile.replace("/usr/src/", &format!("{}/", source.display())))?;
    ensure!(common.exists() && here.join("Module.symvers").exists(), "no headers in {headers}");
    make_run(&apt, dir, &all)?;
    symlink(&here, dir.join("headers"))?;
    let version = headers.trim_start_matches("linux-headers-");
    let places = [format!("boot/vmlinuz-{version}"), format!("usr/lib/modules/{version}/vmlinuz")];
    let found =
        places.iter().map(|p| all.join(p)).find(|p| p.exists()).with_context(|| format!("no vmlinuz in {image}"))?;
    fs::copy(found, dir.join("new"))?;
    // What says that all is there comes last.
    Ok(fs::rename(dir.join("new"), dir.join("vmlinuz"))?)
}

/// The programs of a newer Debian want a newer C library: theirs is fetched, and each of them that this machine's does not start gets a script in its place.
fn make_run(apt: &Apt, dir: &Path, all: &Path) -> Result<()> {
    let mut strangers = Vec::new();
    let mut dirs = vec![all.join("usr/lib")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() && entry.metadata()?.permissions().mode() & 0o100 != 0 {
                let told = Command::new("ldd").arg(entry.path()).output().context("ldd")?;
                let told = [told.stdout, told.stderr].concat();
                if String::from_utf8_lossy(&told).contains("not found") {
                    strangers.push(entry.path());
                }
            }
        }
    }
    if strangers.is_empty() {
        return Ok(());
    }
    fs::remove_dir_all(&apt.dir)?;
    fs::create_dir_all(&apt.dir)?;
    apt.download(&LIBRARIES.map(String::from))?;
    extract(&apt.dir, &dir.join("libraries"))?;
    let libraries = dir.join("libraries/usr/lib/x86_64-linux-gnu");
    for program in strangers {
        let aside = PathBuf::from(format!("{}.elf", program.display()));
        fs::rename(&program, &aside)?;
        let script = format!(
            "#!/bin/sh\nexec {0}/ld-linux-x86-64.so.2 --library-path {0} {1} \"$@\"\n",
            libraries.display(),
            aside.display()
        );
        fs::write(&program, script)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn extract(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        check(Command::new("dpkg-deb").arg("-x").arg(entry?.path()).arg(to), LIMIT)?;
    }
    Ok(())
}

fn only(dir: &Path, named: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let mut found = fs::read_dir(dir)?.flatten().map(|e| e.path());
    found
        .find(|p| p.file_name().is_some_and(|n| named(&n.to_string_lossy())))
        .with_context(|| format!("not what was looked for in {}", dir.display()))
}

/// apt-get with lists of its own, of one suite: this machine's stay as they are.
struct Apt {
    options: Vec<String>,
    /// Where packages go.
    dir: PathBuf,
}

impl Apt {
    fn new(kernel: &Kernel, dir: &Path) -> Result<Self> {
        const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
        ensure!(Path::new(KEYS).exists(), "this is no Debian: no {KEYS}");
        let state = dir.join("apt");
        for part in ["lists/partial", "cache/archives/partial", "packages"] {
            fs::create_dir_all(state.join(part))?;
        }
        let list = state.join("sources.list");
        fs::write(&list, format!("deb [signed-by={KEYS}] http://deb.debian.org/debian {} main\n", kernel.suite))?;
        let options = [
            format!("Dir::Etc::sourcelist={}", list.display()),
            "Dir::Etc::sourceparts=-".into(),
            format!("Dir::State::lists={}", state.join("lists").display()),
            format!("Dir::Cache={}", state.join("cache").display()),
            "APT::Sandbox::User=root".into(),
        ];
        let options = options.into_iter().flat_map(|o| ["-o".to_owned(), o]).collect();
        let apt = Self { options, dir: state.join("packages") };
        check(apt.command("apt-get").args(["-qq", "update"]), LIMIT)?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options).stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn all_depends(&self, package: &str) -> Result<Vec<String>> {
        let text = capture(self.command("apt-cache").args(["depends", package]), LIMIT)?;
        Ok(text.lines().filter_map(|l| l.trim().strip_prefix("Depends: ")).map(String::from).collect())
    }

    /// The one dependency of a package that has no content of its own.
    fn depends(&self, package: &str, begin: &str) -> Result<String> {
        let all = self.all_depends(package)?;
        all.into_iter().find(|p| p.starts_with(begin)).with_context(|| format!("apt-get knows no {package}"))
    }

    fn download(&self, packages: &[String]) -> Result<()> {
        let mut download = self.command("apt-get");
        download.current_dir(&self.dir).args(["-qq", "download"]).args(packages);
        println!("$ apt-get download {}", packages.join(" "));
        check(&mut download, LIMIT)?;
        let there = fs::read_dir(&self.dir)?.count();
        if there < packages.len() {
            bail!("{there} packages came of {}", packages.len());
        }
        Ok(())
    }
}
