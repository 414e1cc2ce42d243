//! The house's own chores. `cargo xtask help` lists them; each is one module.

mod bench;
mod bless;
mod ci;
mod demo;
mod families;
mod fixtures;
mod install;
mod kernel;
mod man;
mod migrate;
mod released;
mod report;
mod run;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Cryo's chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Show what Cryo does: freeze a running python3 program, look inside, thaw it twice
    Demo {
        /// Another one: a family of three moves from one host to another while its processes talk to each other
        #[arg(long)]
        migrate: bool,
    },
    /// Install what the tests need, build, run all tests
    Test {
        /// In two minutes: unit and format tests, one program of each kind, the safety tests in small
        #[arg(long, conflicts_with = "args")]
        quick: bool,
        /// Passed on to `cargo test`
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Test the kernel module /dev/overseer in QEMU, under each kernel that can be fetched (part of `test`)
    TestVm {
        /// Thaw all programs by both roads, not a part of them: twenty minutes for each kernel
        #[arg(long)]
        all: bool,
        /// Instead, measure a thaw of 30,000 ranges by both roads
        #[arg(long, conflicts_with = "all")]
        bench: bool,
        /// Passed on to the test: the name of a kernel
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// What has to hold before a change lands: format, lints, docs, fixtures, tests
    Ci,
    /// Measure freezing and thawing on tmpfs
    Bench(bench::Args),
    /// Freeze real families at random moments, and print how many were right
    Families {
        /// How many moments each
        #[arg(long, default_value_t = 10)]
        moments: usize,
        /// Start them by an overseer, and real programs, too: its view and the kernel's have to be the same when they are frozen, once
        #[arg(long)]
        watched: bool,
        /// Passed on to the tests: parts of names
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Re-record the snapshots of what the tools print
    Bless,
    /// Write manual pages and completions below target/
    Man,
    /// Build the readers of former releases, and see that they refuse by name what came later
    Released,
    /// Record images of this format version into fixtures/vN; what is there already is never touched
    Fixtures {
        /// Only check what is recorded
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    // What a frozen program leaves behind becomes our child, so that it can be waited for whatever pid 1 does here.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let done = match Cli::parse().chore {
        Chore::Demo { migrate: false } => demo::demo(),
        Chore::Demo { migrate: true } => migrate::migrate(),
        Chore::Test { quick: true, .. } => test::quick(),
        Chore::Test { args, .. } => test::test(&args),
        Chore::TestVm { all, bench, args } => vm::test_vm(all, bench, &args),
        Chore::Ci => ci::ci(),
        Chore::Bench(args) => bench::bench(&args),
        Chore::Families { moments, watched, args } => families::families(moments, watched, &args),
        Chore::Bless => bless::bless(),
        Chore::Man => man::man(),
        Chore::Released => released::released(),
        Chore::Fixtures { check: true } => fixtures::check(),
        Chore::Fixtures { check: false } => fixtures::record(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e:#}");
            ExitCode::FAILURE
        }
    }
}
