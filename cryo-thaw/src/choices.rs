//! The choices of a thaw as a command line says them: the same for `cryo-thaw` and for `cryo-inspect check`.

use clap::{Args, ValueEnum};
use cryo_format::section::outside::FdRule;

use crate::options::{FileMap, Options, Pid, Road, Tcp, Time};

/// What both commands take.
#[derive(Args, Clone, Debug)]
pub struct Choices {
    /// Its ids: `auto` the same, here where they are free and allowed, else in a pid namespace of its own, else new ones; `same`, here or not at all;
    /// the same in a pid `namespace` of its own; `new` ones
    #[arg(long, value_enum, default_value_t = PidArg::Auto)]
    pid: PidArg,
    /// What takes the place of descriptor N: `N=inherit` (our own), `N=null`, `N=close`, `N=FILE`; of all whose other end is not here: `outside=null`
    #[arg(long = "fd", value_name = "N|outside=inherit|null|close|FILE")]
    fds: Vec<FdRule>,
    /// TCP connections that were frozen with --tcp keep: they go on (as root), or the program finds them reset
    #[arg(long, value_enum, default_value_t = TcpArg::Keep)]
    tcp: TcpArg,
    /// A file (or all below a directory) that is elsewhere now: descriptors, mappings and the working directory follow. OLD=OLD: the one that stands there now is right
    #[arg(long, value_name = "OLD=NEW")]
    file_map: Vec<FileMap>,
    /// Whether time in the ice counts for timers
    #[arg(long, value_enum, default_value_t = TimeArg::Ice)]
    time: TimeArg,
    /// It goes on with your ids, groups and capabilities, whatever it had
    #[arg(long)]
    own_credentials: bool,
    /// Lower resource limits where it had more than is allowed here
    #[arg(long)]
    lower_limits: bool,
    /// Do not compare root and digests (checksums are): the files were verified before, by `cryo-inspect verify`
    #[arg(long)]
    no_verify: bool,
    /// Go on although this CPU lacks instructions that the program may use
    #[arg(long)]
    ignore_cpu: bool,
    /// What gives the process its memory: the kernel's module `overseer` (/dev/overseer), or `inject`, system calls made inside of it; `auto`: the
    /// first where it is loaded, else the second
    #[arg(long, value_enum, default_value_t = RemapArg::Auto)]
    remap: RemapArg,
    /// As root: thaw a set that is not root's own. It runs with the rights that it asks for
    #[arg(long)]
    trust: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PidArg {
    Auto,
    Same,
    Namespace,
    New,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TcpArg {
    Keep,
    Close,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RemapArg {
    Auto,
    Inject,
    Overseer,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TimeArg {
    Ice,
    Real,
}

impl Choices {
    /// As the thaw takes them.
    pub fn options(&self) -> Options {
        Options {
            pid: match self.pid {
                PidArg::Auto => Pid::Auto,
                PidArg::Same => Pid::Same,
                PidArg::Namespace => Pid::Namespace,
                PidArg::New => Pid::New,
            },
            tcp: match self.tcp {
                TcpArg::Keep => Tcp::Keep,
                TcpArg::Close => Tcp::Close,
            },
            fds: self.fds.clone(),
            file_map: self.file_map.clone(),
            time: match self.time {
                TimeArg::Ice => Time::Ice,
                TimeArg::Real => Time::Real,
            },
            remap: match self.remap {
                RemapArg::Auto => Road::Auto,
                RemapArg::Inject => Road::Inject,
                RemapArg::Overseer => Road::Overseer,
            },
            own_credentials: self.own_credentials,
            lower_limits: self.lower_limits,
            no_verify: self.no_verify,
            trust: self.trust,
            ignore_cpu: self.ignore_cpu,
            ..Options::default()
        }
    }
}
