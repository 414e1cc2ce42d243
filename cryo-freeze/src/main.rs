//! `cryo-freeze`: freezes a running program into files, or down a pipe.

mod progress_line;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use cryo_format::section::outside::FdRule;
use cryo_freeze::freeze::Target;
use cryo_freeze::output;
use cryo_freeze::{Afterwards, Also, Children, Ends, Files, Frozen, Landlock, Options, Shared, Tcp, freeze};

/// Freeze a running program, with all processes that descend from it: its state goes into NAME.freeze, NAME.frore and NAME.frost, and the original ends when they are safe.
///
/// Whatever fails, the program goes on as if nothing had been tried.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit status: 0 frozen; 2 not frozen, the program goes on; 128 + n the same, ended by signal n.\n\nOn another machine:  cryo-freeze 4242 -o - | ssh there cryo-thaw -"
)]
struct Cli {
    /// The process to freeze, with its descendants
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    pid: i32,
    /// Name of the three files, with or without an ending; a directory, DIR/, takes them by the pid [default: the pid]; `-` sends them down standard
    /// output
    #[arg(short, long, value_name = "NAME")]
    output: Option<PathBuf>,
    /// Let the original go on
    #[arg(long, conflicts_with = "leave_stopped")]
    leave_running: bool,
    /// Leave the original stopped (kill -CONT lets it go on)
    #[arg(long)]
    leave_stopped: bool,
    /// Say which processes were frozen, and how many pages of each were read
    #[arg(short, long)]
    verbose: bool,
    /// Overwrite a set that exists
    #[arg(long)]
    force: bool,
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
    /// Leave out the BLAKE3 digests of pages (checksums remain): the shortest freeze
    #[arg(long)]
    no_digest: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ChildrenArg {
    Take,
    Leave,
    Refuse,
}

#[derive(Clone, Copy, ValueEnum)]
enum LandlockArg {
    Refuse,
    Drop,
}

#[derive(Clone, Copy, ValueEnum)]
enum SharedArg {
    Refuse,
    Copy,
}

#[derive(Clone, Copy, ValueEnum)]
enum FilesArg {
    Embed,
    Refer,
}

#[derive(Clone, Copy, ValueEnum)]
enum TcpArg {
    Refuse,
    Close,
    Keep,
}

#[derive(Clone, Copy, ValueEnum)]
enum EndsArg {
    Refuse,
    Close,
}

impl Cli {
    fn options(&self) -> Options {
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
            progress: progress_line::on_stderr(),
        }
    }

    /// Name of the three files; none if the set goes down standard output.
    fn name(&self) -> Option<PathBuf> {
        let pid = self.pid.to_string();
        match &self.output {
            Some(output) if output.as_os_str() == "-" => None,
            Some(output) => Some(output::name(output, &pid)),
            None => Some(pid.into()),
        }
    }

    fn run(&self) -> anyhow::Result<()> {
        let Some(name) = self.name() else {
            output::check_stdout()?;
            // The writer makes large writes of its own; std's line buffering would copy every page once more.
            let mut pipe = std::fs::File::from(rustix::io::dup(rustix::stdio::stdout())?);
            let frozen = freeze(self.pid, Target::Pipe(&mut pipe), &self.options())?;
            self.tell(&frozen);
            return Ok(());
        };
        let frozen = freeze(self.pid, Target::Name(&name), &self.options())?;
        self.tell(&frozen);
        if let Some(path) = frozen.path {
            // Who does not read the name has the file all the same.
            let _ = writeln!(std::io::stdout(), "{}", path.display());
        }
        Ok(())
    }

    fn tell(&self, frozen: &Frozen) {
        for member in frozen.members.iter().filter(|_| self.verbose) {
            say(&format!("process {} ({}): {} pages", member.pid, member.comm, member.pages));
        }
        for note in &frozen.notes {
            say(&format!("note: {note}"));
        }
    }
}

/// A line for the person who freezes. Names in it are the program's own, and so anything at all: they are escaped and cut.
#[allow(clippy::disallowed_methods)] // this is the place
fn say(text: &str) {
    cryo_tracee::say(&format!("cryo-freeze: {}", cryo_format::text::message(text)));
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let name = cli.name();
    let work = || match cli.run() {
        Ok(()) => 0,
        // The command says so, which knows of which signal.
        Err(e) if matches!(e.downcast_ref(), Some(cryo_freeze::Error::Asked)) => cryo_tracee::guardian::ASKED,
        Err(e) => {
            match e.downcast_ref() {
                Some(cryo_freeze::Error::Several(several)) => several.lines().for_each(say),
                _ => say(&format!("{e:#}")),
            }
            2
        }
    };
    match cryo_tracee::guardian::run(work) {
        Ok(code) => ExitCode::from(code as u8),
        Err(e) => {
            say(&e.to_string());
            // It may have been killed while the files of the set took their names.
            if let Some(Err(e)) = name.map(|name| output::recover(&name)) {
                say(&e.to_string());
            }
            match e {
                cryo_tracee::Error::Asked(signal) => ExitCode::from(128 + signal as u8),
                _ => ExitCode::from(2),
            }
        }
    }
}
