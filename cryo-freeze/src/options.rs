//! What the person who freezes may choose.

use std::path::PathBuf;

use cryo_format::section::outside::FdRule;

use crate::confirm::Confirm;
use crate::progress::Progress;

/// What becomes of the original when the image is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Afterwards {
    /// It ends.
    #[default]
    End,
    /// It goes on.
    Run,
    /// It stays, stopped by SIGSTOP.
    Stop,
}

/// Whether the image holds the pages of mapped files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Files {
    /// It does: it thaws on a machine without them.
    #[default]
    Embed,
    /// It names them, with size, build-id and hash.
    Refer,
}

/// What becomes of unix sockets whose other end is in another process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ends {
    /// Nothing is frozen.
    #[default]
    Refuse,
    /// The program finds the other end closed.
    Close,
}

/// What becomes of TCP connections whose other end is in another process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tcp {
    /// Nothing is frozen.
    #[default]
    Refuse,
    /// The program finds them reset, as after a failure of the network.
    Close,
    /// They go on when the program is thawed; the peer sees a pause. Needs CAP_NET_ADMIN.
    Keep,
}

/// What becomes of memory, files without a name, counters and offsets that another process shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shared {
    /// Nothing is frozen.
    #[default]
    Refuse,
    /// The image has a copy, and from then on each its own.
    Copy,
}

/// What becomes of the restrictions of a Landlock domain, which nobody can read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Landlock {
    /// Who is restricted is not frozen.
    #[default]
    Refuse,
    /// The thawed program is not restricted by them.
    Drop,
}

/// What is done about children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Children {
    /// They are taken along, and theirs, all as of one moment.
    #[default]
    Take,
    /// They stay behind.
    Leave,
    /// A process that has some is not frozen.
    Refuse,
}

/// Whether pages are copied while the program runs, so that it stands still for a shorter time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Live {
    /// Where the program goes on afterwards and that is expected to be shorter than to fork it. What stands in the way is no error, and an error in it none of the
    /// freeze: it goes the usual way then.
    #[default]
    Auto,
    /// Wherever that is possible; with [`Afterwards::Run`].
    Always,
    /// It stands still until its pages are written or it is forked.
    Never,
}

/// Who is taken along besides the process and its descendants, with all that descend from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Also {
    /// Nobody.
    #[default]
    Nobody,
    /// All processes of its session.
    Session,
    /// All processes of this control group, and of those below it: its directory.
    Cgroup(PathBuf),
}

/// Choices of one freeze.
#[derive(Clone, Debug)]
pub struct Options {
    /// What becomes of the original.
    pub afterwards: Afterwards,
    /// Pages of mapped files.
    pub files: Files,
    /// Descriptors to be replaced.
    pub fds: Vec<FdRule>,
    /// What the links of descriptors of the process (/proc/PID/fd) said when the rules for them were made; a freeze that finds something else is refused
    /// ([`crate::RefusalKind::Busy`]): a shell parks its standard output elsewhere for a moment when it redirects that of one command.
    pub links: Vec<(i32, Vec<u8>)>,
    /// Unix sockets to other processes.
    pub unix: Ends,
    /// TCP connections to other processes.
    pub tcp: Tcp,
    /// State that other processes share.
    pub shared: Shared,
    /// Children.
    pub children: Children,
    /// Others; without descendants they are not taken along either.
    pub also: Also,
    /// Landlock domains.
    pub landlock: Landlock,
    /// Overwrite a set that exists.
    pub force: bool,
    /// Compute BLAKE3 digests of the page data.
    pub digests: bool,
    /// Compress the page data with zstd at this level ([`cryo_format::codec::LEVELS`]).
    pub compress: Option<i32>,
    /// Pages that are copied while the program runs.
    pub live: Live,
    /// With [`Afterwards::Run`], for who traces the family from one freeze to the next ([`crate::Tracer`]): its memory is watched from then on, so that the next
    /// freeze with the new set as its parent need only look at what was written to since.
    pub keep_watch: bool,
    /// A set that was written before: what it has is not written again.
    pub parent: Option<PathBuf>,
    /// Who is told how far it has come.
    pub progress: Progress,
    /// With [`Afterwards::End`]: who has the last word before the original ends.
    pub confirm: Confirm,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            afterwards: Afterwards::default(),
            files: Files::default(),
            fds: Vec::new(),
            links: Vec::new(),
            unix: Ends::default(),
            tcp: Tcp::default(),
            shared: Shared::default(),
            children: Children::default(),
            also: Also::default(),
            landlock: Landlock::default(),
            force: false,
            digests: true,
            compress: None,
            live: Live::default(),
            keep_watch: false,
            parent: None,
            progress: Progress::default(),
            confirm: Confirm::default(),
        }
    }
}
