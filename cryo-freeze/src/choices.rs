//! The choices of a freeze as a command line says them: the same for `cryo-freeze` and for `overseer`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cryo_format::codec;
use cryo_format::section::outside::FdRule;

use crate::{Also, Children, Ends, Files, Landlock, Options, Shared, Tcp};

/// What both commands take.
#[derive(Args, Clone, Debug)]
pub struct Choices {
    /// Pages of mapped files (libraries, the program itself): in the image, or named with size, build-id and hash
    #[arg(long, value_enum, default_value_t = FilesArg::Embed)]
    files: FilesArg,
    /// This process alone: its children stay behind
    #[arg(long, conflicts_with = "children")]
    only: bool,
    /// Children, and theirs: frozen together with the process, left behind (as by --only), or a reason not to freeze it
    #[arg(long, value_enum, default_value_t = ChildrenArg::Take)]
    children: ChildrenArg,
    /// All processes of its session, too, and theirs
    #[arg(long, conflicts_with_all = ["only", "children", "cgroup"])]
    session: bool,
    /// All processes of a control group, too, and theirs: its directory under /sys/fs/cgroup
    #[arg(long, value_name = "PATH", conflicts_with_all = ["only", "children"])]
    cgroup: Option<PathBuf>,
    /// A program that Landlock restricts, by rules that nobody can read: not frozen, or frozen without them
    #[arg(long, value_enum, default_value_t = LandlockArg::Refuse)]
    landlock: LandlockArg,
    /// What takes the place of descriptor N: `N=inherit` (the thawer's own), `N=null`, `N=close`, `N=FILE`; of all that would be refused: `outside=null`
    #[arg(long = "fd", value_name = "N|outside=inherit|null|close|FILE")]
    fds: Vec<FdRule>,
    /// TCP connections to other processes: refuse to freeze, let the program find them reset, or keep them (as root)
    #[arg(long, value_enum, default_value_t = TcpArg::Refuse)]
    tcp: TcpArg,
    /// Unix sockets to other processes: refuse to freeze, or let the program find the other end closed
    #[arg(long, value_enum, default_value_t = EndsArg::Refuse)]
    unix: EndsArg,
    /// Memory, deleted files, counters and file offsets that another process shares: refuse to freeze, or give the image a copy of its own
    #[arg(long, value_enum, default_value_t = SharedArg::Refuse)]
    shared: SharedArg,
    /// Write only the pages that differ from those of this set, which the new one needs from then on (cryo-inspect flatten joins them)
    #[arg(long, value_name = "NAME")]
    parent: Option<PathBuf>,
    /// Compress the pages with zstd: from 1, the fastest, to 19, the smallest [without LEVEL: 1]
    #[arg(long, value_name = "LEVEL", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = level())]
    compress: Option<i32>,
    /// Leave out the BLAKE3 digests of pages (checksums remain): the shortest freeze
    #[arg(long)]
    no_digest: bool,
}

fn level() -> clap::builder::RangedI64ValueParser<i32> {
    let (least, most) = codec::LEVELS.into_inner();
    clap::value_parser!(i32).range(i64::from(least)..=i64::from(most))
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ChildrenArg {
    Take,
    Leave,
    Refuse,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LandlockArg {
    Refuse,
    Drop,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SharedArg {
    Refuse,
    Copy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FilesArg {
    Embed,
    Refer,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TcpArg {
    Refuse,
    Close,
    Keep,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EndsArg {
    Refuse,
    Close,
}

impl Choices {
    /// As the freeze takes them.
    pub fn options(&self) -> Options {
        Options {
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
            digests: !self.no_digest,
            compress: self.compress,
            parent: self.parent.clone(),
            ..Options::default()
        }
    }
}
