//! The command line of `cryo-freeze`: the program parses it, manual pages and completions are made of it.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use cryo_format::section::outside::FdRule;

use crate::output;
use crate::{Afterwards, Also, Children, Ends, Files, Landlock, Options, Shared, Tcp};

/// Freeze a running program, with all processes that descend from it: its state goes into NAME.freeze, NAME.frore and NAME.frost, and the original ends when they are safe.
///
/// Whatever fails, the program goes on as if nothing had been tried.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 frozen; 2 not frozen, the program goes on; 128 + n the same, ended by signal n.\n\nOn another machine:  cryo-freeze 4242 -o - | ssh there cryo-thaw -"
)]
pub struct Cli {
    /// The process to freeze, with its descendants
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: i32,
    /// Name of the three files, with or without an ending; a directory, DIR/, takes them by the pid [default: the pid]; `-` sends them down standard
    /// output
    #[arg(short, long, value_name = "NAME")]
    pub output: Option<PathBuf>,
    /// Let the original go on
    #[arg(long, conflicts_with = "leave_stopped")]
    pub leave_running: bool,
    /// Leave the original stopped (kill -CONT lets it go on)
    #[arg(long)]
    pub leave_stopped: bool,
    /// Say which processes were frozen, and how many pages of each were read
    #[arg(short, long)]
    pub verbose: bool,
    /// Overwrite a set that exists
    #[arg(long)]
    pub force: bool,
    /// Pages of mapped files (libraries, the program itself): in the image, or named with size, build-id and hash
    #[arg(long, value_enum, default_value_t = FilesArg::Embed)]
    pub files: FilesArg,
    /// This process alone: its children stay behind
    #[arg(long, conflicts_with = "children")]
    pub only: bool,
    /// Children, and theirs: frozen together with the process, left behind (as by --only), or a reason not to freeze it
    #[arg(long, value_enum, default_value_t = ChildrenArg::Take)]
    pub children: ChildrenArg,
    /// All processes of its session, too, and theirs
    #[arg(long, conflicts_with_all = ["only", "children", "cgroup"])]
    pub session: bool,
    /// All processes of a control group, too, and theirs: its directory under /sys/fs/cgroup
    #[arg(long, value_name = "PATH", conflicts_with_all = ["only", "children"])]
    pub cgroup: Option<PathBuf>,
    /// A program that Landlock restricts, by rules that nobody can read: not frozen, or frozen without them
    #[arg(long, value_enum, default_value_t = LandlockArg::Refuse)]
    pub landlock: LandlockArg,
    /// What takes the place of descriptor N: `N=inherit` (the thawer's own), `N=null`, `N=close`, `N=FILE`; of all that would be refused: `outside=null`
    #[arg(long = "fd", value_name = "N|outside=inherit|null|close|FILE")]
    pub fds: Vec<FdRule>,
    /// TCP connections to other processes: refuse to freeze, let the program find them reset, or keep them (as root)
    #[arg(long, value_enum, default_value_t = TcpArg::Refuse)]
    pub tcp: TcpArg,
    /// Unix sockets to other processes: refuse to freeze, or let the program find the other end closed
    #[arg(long, value_enum, default_value_t = EndsArg::Refuse)]
    pub unix: EndsArg,
    /// Memory, deleted files, counters and file offsets that another process shares: refuse to freeze, or give the image a copy of its own
    #[arg(long, value_enum, default_value_t = SharedArg::Refuse)]
    pub shared: SharedArg,
    /// For programs: what is said, and what came of it, goes to descriptor FD as lines of JSON, and not to standard error
    #[arg(long, value_name = "FD")]
    pub report_fd: Option<i32>,
    /// Leave out the BLAKE3 digests of pages (checksums remain): the shortest freeze
    #[arg(long)]
    pub no_digest: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // as on the command line
pub enum ChildrenArg {
    Take,
    Leave,
    Refuse,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // as on the command line
pub enum LandlockArg {
    Refuse,
    Drop,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // as on the command line
pub enum SharedArg {
    Refuse,
    Copy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // as on the command line
pub enum FilesArg {
    Embed,
    Refer,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // as on the command line
pub enum TcpArg {
    Refuse,
    Close,
    Keep,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // as on the command line
pub enum EndsArg {
    Refuse,
    Close,
}

impl Cli {
    /// What the library is to do; the progress is shown by whoever asks.
    pub fn options(&self) -> Options {
        Options {
            afterwards: match (self.leave_running, self.leave_stopped) {
                (true, _) => Afterwards::Run,
                (_, true) => Afterwards::Stop,
                _ => Afterwards::End,
            },
            files: match self.files {
                FilesArg::Embed => Files::Embed,
                FilesArg::Refer => Files::Refer,
            },
            children: match self.children {
                ChildrenArg::Take if !self.only => Children::Take,
                ChildrenArg::Refuse => Children::Refuse,
                ChildrenArg::Take | ChildrenArg::Leave => Children::Leave,
            },
            also: match &self.cgroup {
                Some(path) => Also::Cgroup(path.clone()),
                None if self.session => Also::Session,
                None => Also::Nobody,
            },
            landlock: match self.landlock {
                LandlockArg::Refuse => Landlock::Refuse,
                LandlockArg::Drop => Landlock::Drop,
            },
            shared: match self.shared {
                SharedArg::Refuse => Shared::Refuse,
                SharedArg::Copy => Shared::Copy,
            },
            fds: self.fds.clone(),
            tcp: match self.tcp {
                TcpArg::Refuse => Tcp::Refuse,
                TcpArg::Close => Tcp::Close,
                TcpArg::Keep => Tcp::Keep,
            },
            unix: match self.unix {
                EndsArg::Refuse => Ends::Refuse,
                EndsArg::Close => Ends::Close,
            },
            force: self.force,
            digests: !self.no_digest,
            ..Options::default()
        }
    }

    /// Name of the three files; none if the set goes down standard output.
    pub fn name(&self) -> Option<PathBuf> {
        let pid = self.pid.to_string();
        match &self.output {
            Some(output) if output.as_os_str() == "-" => None,
            Some(output) => Some(output::name(output, &pid)),
            None => Some(pid.into()),
        }
    }
}
