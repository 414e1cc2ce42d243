//! `cargo xtask test`: all tests, on a machine that has nothing but Rust.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    install::{Need, ensure},
    kernel,
    run::{cargo, check, root, show, wait},
    vm,
};

/// What the tests freeze, or compile what they freeze with.
const NEEDS: &[Need] = &[
    Need { package: "gcc", proof: "/usr/bin/gcc", why: "the programs in fixtures/programs are C" },
    Need {
        package: "gcc-multilib",
        proof: "/usr/share/doc/gcc-multilib",
        why: "they are built as 32-bit programs, too",
    },
    Need {
        package: "make",
        proof: "/usr/bin/make",
        why: "a build is a family that is frozen (families); builds the kernel module",
    },
    Need { package: "gdb", proof: "/usr/bin/gdb", why: "reads the cores that cryo-inspect makes" },
    Need { package: "valgrind", proof: "/usr/bin/valgrind", why: "sees whether libcryo loses memory" },
    Need { package: "libc6-dev", proof: "/usr/include/stdio.h", why: "their headers, and libc.a for the static ones" },
    Need { package: "python3", proof: "/usr/bin/python3", why: "is frozen; reads every image by spec/cryo.ksy" },
    Need { package: "perl", proof: "/usr/bin/perl", why: "is frozen" },
    Need { package: "lua5.4", proof: "/usr/bin/lua5.4", why: "is frozen" },
    Need { package: "sqlite3", proof: "/usr/bin/sqlite3", why: "is frozen in the middle of a query" },
    // Whether the next two start services of their own does not matter.
    Need { package: "redis-server", proof: "/usr/bin/redis-server", why: "is frozen with its clients connected" },
    Need { package: "nginx-light", proof: "/usr/sbin/nginx", why: "is frozen with its clients connected" },
    Need { package: "postgresql", proof: "/usr/lib/postgresql", why: "is frozen with its workers and a client" },
    Need { package: "gunicorn", proof: "/usr/bin/gunicorn", why: "is frozen with its workers" },
    Need { package: "jupyter-server", proof: "/usr/bin/jupyter-server", why: "is frozen with a kernel" },
    Need { package: "python3-ipykernel", proof: "/usr/lib/python3/dist-packages/ipykernel", why: "is that kernel" },
    Need { package: "openmpi-bin", proof: "/usr/bin/mpirun", why: "is frozen with the processes that it has started" },
    Need { package: "libopenmpi-dev", proof: "/usr/bin/mpicc", why: "compiles these" },
    Need { package: "bsdutils", proof: "/usr/bin/script", why: "is frozen with the terminal that it records" },
    Need { package: "curl", proof: "/usr/bin/curl", why: "is frozen in the middle of a download" },
    Need { package: "vim", proof: "/usr/bin/vim", why: "is frozen in a terminal" },
    Need { package: "less", proof: "/usr/bin/less", why: "is frozen in a terminal" },
    Need { package: "procps", proof: "/usr/bin/top", why: "is frozen in a terminal" },
    Need { package: "xz-utils", proof: "/usr/bin/xz", why: "is frozen while several threads compress" },
    Need { package: "luajit", proof: "/usr/bin/luajit", why: "is frozen in code that it has just made" },
    Need { package: "ffmpeg", proof: "/usr/bin/ffmpeg", why: "is frozen with a film half encoded" },
    Need { package: "tmux", proof: "/usr/bin/tmux", why: "is the terminal of what is frozen in a terminal" },
    Need { package: "chromium", proof: "/usr/bin/chromium", why: "looks at the page that cryo-inspect report writes" },
    Need { package: "openssh-client", proof: "/usr/bin/ssh-keygen", why: "carries a set to another shell" },
    Need { package: "openssh-server", proof: "/usr/sbin/sshd", why: "is the other end of that, started by ssh itself" },
    // Whether these start services of their own does not matter either.
    Need { package: "iproute2", proof: "ip", why: "lays a cable between two hosts" },
    Need { package: "slurmctld", proof: "/usr/sbin/slurmctld", why: "queues a job whose time is over again" },
    Need { package: "slurmd", proof: "/usr/sbin/slurmd", why: "runs that job" },
    Need { package: "dbus", proof: "/usr/bin/dbus-daemon", why: "carries the word that the machine goes down" },
    Need {
        package: "python3-dbusmock",
        proof: "/usr/lib/python3/dist-packages/dbusmock",
        why: "plays the systemd-logind that says so",
    },
    Need { package: "systemd", proof: "/usr/bin/busctl", why: "its busctl asks that one who makes the machine wait" },
    Need { package: "munge", proof: "/usr/sbin/munged", why: "lets these two trust each other" },
    Need { package: "util-linux", proof: "/usr/bin/setpriv", why: "makes an ordinary user of root for the tests" },
    Need { package: "mount", proof: "/usr/bin/mount", why: "makes the small disks that get full" },
    Need { package: "qemu-system-x86", proof: "qemu-system-x86_64", why: "is another machine, with another CPU" },
    Need { package: "busybox-static", proof: "/bin/busybox", why: "is all that there is on that machine" },
    Need { package: "golang-go", proof: "go", why: "builds a program with goroutines that is frozen" },
    Need {
        package: "default-jdk-headless",
        proof: "javac",
        why: "builds a program with a garbage collector that is frozen",
    },
    Need { package: "nodejs", proof: "node", why: "is frozen; compiles spec/cryo.ksy to Python" },
    Need { package: "npm", proof: "npm", why: "fetches that compiler (spec/ksy/setup.sh)" },
    Need { package: "python3-pip", proof: "pip3", why: "fetches what runs it" },
];

const BUILD: Duration = Duration::from_mins(20);
const TESTS: Duration = Duration::from_mins(83);

/// Of these, what the kernel module is tested with.
const VM: [&str; 6] = ["gcc", "gcc-multilib", "make", "libc6-dev", "qemu-system-x86", "busybox-static"];

/// Installs them.
pub fn vm_needs() -> Result<()> {
    let needs: Vec<Need> = NEEDS.iter().filter(|need| VM.contains(&need.package)).copied().collect();
    ensure(&needs)
}

/// Of these, what the quick tests need.
const QUICK: [&str; 6] = ["gcc", "gcc-multilib", "gdb", "libc6-dev", "python3", "util-linux"];

/// For who changes one thing: unit and format tests, one program of each family and of each kind of section, the safety tests in small.
pub fn quick() -> Result<()> {
    let needs: Vec<Need> = NEEDS.iter().filter(|need| QUICK.contains(&need.package)).copied().collect();
    ensure(&needs)?;
    build()?;
    let mut units =
        cargo(&["test", "--workspace", "--exclude", "fixtures", "--locked", "--no-fail-fast", "--lib", "--bins"]);
    // Without the second reader, which needs more packages.
    units.args([
        "--test",
        "*",
        "--",
        "--skip",
        "the_two_readers_agree",
        "--skip",
        "what_one_refuses_the_other_refuses",
    ]);
    let mut programs = cargo(&["test", "-p", "fixtures", "--locked", "--no-fail-fast", "--lib"]);
    programs.args(["--test", "programs", "--test", "recorded", "--test", "safety"]);
    programs.envs([("CRYO_QUICK", "1"), ("CRYO_KILLS", "20"), ("CRYO_FLIPS", "4")]);
    let mut total = Total::default();
    // The second also after a failure of the first: one run shows all there is to mend.
    let done = [run(&mut units, &mut total), run(&mut programs, &mut total)];
    println!("\n{total}");
    done.into_iter().collect()
}

/// Installs what is missing, builds, runs all tests.
pub fn test(args: &[String]) -> Result<()> {
    ensure(NEEDS)?;
    kernel::fetch();
    vm::fetch();
    build()?;
    let mut cmd = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    if !args.is_empty() {
        cmd.arg("--").args(args);
    }
    let mut total = Total::default();
    let done = run(&mut cmd, &mut total).or_else(|failed| once_more(&total, failed));
    println!("\n{total}");
    done
}

/// If so few have failed, they are run once more.
const ONCE_MORE: usize = 2;

/// Runs them once more: one of thousands that goes right then has met a race, and everybody who works on something else need not wait until
/// it is found. It is said at the end, with what it said when it failed, and is a bug to be mended (CONTRIBUTING.md).
fn once_more(total: &Total, failed: anyhow::Error) -> Result<()> {
    let names = &total.names;
    if names.is_empty() || names.len() > ONCE_MORE || names.len() as u64 != total.failed {
        return Err(failed);
    }
    for name in names {
        println!("\n{name} failed. Once more:");
        let mut again = Total::default();
        run(cargo(&["test", "--workspace", "--locked", "--no-fail-fast", "--", "--exact"]).arg(name), &mut again)?;
        if again.passed == 0 {
            return Err(failed);
        }
    }
    println!("\nRIGHT ONLY WHEN RUN ONCE MORE, a bug to be mended: {}", names.join(", "));
    Ok(())
}

/// Installs what is missing, and builds what the tests run.
pub fn ready() -> Result<()> {
    ensure(NEEDS)?;
    build()
}

/// Builds everything, with what the tests run.
pub fn build() -> Result<()> {
    // The tests run the tools themselves, and cargo builds binaries only for the tests of their own crate. With the tests, because these ask for features of
    // other crates: without, all would be built twice.
    let mut build = cargo(&["build", "--workspace", "--all-targets", "--locked"]);
    show(&build);
    check(&mut build, BUILD)
}

/// Has the tests of a command take the tools that [`build`] has built: else the first that runs one builds it once more, with the features that the tools alone ask for.
pub fn built(cmd: &mut Command) -> &mut Command {
    cmd.env("CRYO_BIN_DIR", root().join("target/debug"))
}

/// Runs `cargo test`, and adds its counts to the total.
fn run(cmd: &mut Command, total: &mut Total) -> Result<()> {
    show(built(cmd));
    let mut child = cmd.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let pipe = child.stdout.take().context("no stdout")?;
    let lines = thread::spawn(move || {
        let mut total = Total::default();
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            println!("{line}");
            total.add(&line);
        }
        total
    });
    let status = wait(&mut child, "cargo test", TESTS)?;
    let Ok(counted) = lines.join() else { bail!("lost count of the tests") };
    total.groups += counted.groups;
    total.passed += counted.passed;
    total.failed += counted.failed;
    total.ignored += counted.ignored;
    total.failures.extend(counted.failures);
    total.names.extend(counted.names);
    if !status.success() {
        bail!("`cargo test`: {status}");
    }
    Ok(())
}

/// The sum of cargo's closing lines.
#[derive(Default)]
struct Total {
    groups: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
    /// What the failed ones said. They are hours of output away from the end, where people look.
    failures: Vec<String>,
    /// Which these are.
    names: Vec<String>,
    /// What those of the group said that is read: it begins with FAILURES, and what is behind the last such line is their list.
    saying: Vec<String>,
}

/// A line before what failed tests said, and before their names.
const FAILURES: &str = "failures:";

/// So many lines of one group's failures are said again at the end.
const SAID_AGAIN: usize = 120;

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { groups, passed, failed, ignored, failures, .. } = self;
        for line in failures {
            writeln!(f, "{line}")?;
        }
        write!(f, "All in all: {passed} passed, {failed} failed, {ignored} ignored, in {groups} groups.")
    }
}

impl Total {
    fn add(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ") else {
            if line == FAILURES || !self.saying.is_empty() {
                self.saying.push(line.to_owned());
            }
            return;
        };
        let list = self.saying.rsplit(|line| line == FAILURES).next().unwrap_or_default();
        self.names.extend(list.iter().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned));
        self.failures.extend(self.saying.drain(..).take(SAID_AGAIN));
        self.groups += 1;
        for part in counts.split(['.', ';']) {
            match part.split_whitespace().collect::<Vec<_>>()[..] {
                [n, "passed"] => self.passed += n.parse().unwrap_or(0),
                [n, "failed"] => self.failed += n.parse().unwrap_or(0),
                [n, "ignored"] => self.ignored += n.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Total;

    #[test]
    fn closing_lines_are_added_up() {
        let mut total = Total::default();
        total.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s");
        for line in
            ["failures:", "", "---- that one ----", "    what it said", "", "failures:", "    that one", "    other"]
        {
            total.add(line);
        }
        total.add("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        total.add("running 6 tests");
        assert_eq!((total.groups, total.passed, total.failed, total.ignored), (2, 7, 2, 1));
        assert_eq!(total.names, ["that one", "other"]);
        assert!(total.failures.contains(&"    what it said".to_owned()));
    }
}
