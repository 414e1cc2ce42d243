//! The terminal in whose foreground the command runs: the thawed program takes it over, and gives it back.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use cryo_format::section::actions::Actions;
use cryo_format::section::descriptors::Descriptors;
use cryo_format::section::outside::{FdRule, Outside, Policy};
use cryo_format::section::process::Process;
use cryo_format::section::terminal::{Settings, Terminal};
use cryo_tracee::foreground::ForegroundTerminal;
use rustix::fs::FileType;
use rustix::process::Pid;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex as Index, Termios, Winsize, tcgetattr,
    tcgetpgrp, tcgetwinsize, tcsetattr, tcsetpgrp, tcsetwinsize,
};

use crate::Result;
use crate::error::{About, RefusalKind, refuse};
use crate::ice::Ice;
use crate::options::Options;

/// How long a program may take to look at a window's size before it changes back.
const GLANCE: Duration = Duration::from_millis(50);

/// what the terminal's own key sends: that one only if it is switched off.
const CHARACTERS: [(usize, Index); 15] = [
    (0, Index::VINTR),
    (1, Index::VQUIT),
    (2, Index::VERASE),
    (3, Index::VKILL),
    (4, Index::VEOF),
    (8, Index::VSTART),
    (9, Index::VSTOP),
    (10, Index::VSUSP),
    (11, Index::VEOL),
    (12, Index::VREPRINT),
    (13, Index::VDISCARD),
    (14, Index::VWERASE),
    (15, Index::VLNEXT),
    (16, Index::VEOL2),
    (7, Index::VSWTC),
];

/// The place of VERASE in c_cc.
const ERASE: usize = 2;

/// The terminal that this command and the program share: our controlling one; or one that we were given as a standard descriptor and that is nobody's
/// controlling terminal here.
#[derive(Clone, Debug)]
pub struct Foreground {
    tty: Arc<File>,
    /// Our process group, if it is our controlling terminal.
    group: Option<Pid>,
    /// Is it our turn? Not in the background (`cryo-thaw NAME &`), until the shell says so (`fg`).
    in_front: bool,
    /// Shall the program lead a process group of its own?
    leads: bool,
    /// The process group of one that it has started, if that was in the foreground: a shell's job.
    job: Option<u64>,
    /// The mode that the program had its own terminal in.
    wanted: Settings,
}

impl Foreground {
    /// Ours, if we have one and the program had one, too.
    ///
    /// What we write to may be `less`, which then has the screen and the keys: with a pipe behind us the terminal is not the program's, unless
    /// it is a shell. And whatever belongs to one job (a pipeline, a script) must stay in one process group, for the keys that stop and end it: the program
    /// leads a group of its own only where we are the whole job.
    pub fn find(ice: &Ice, options: &Options) -> Option<Self> {
        let (id, process) = ice.root().ok()?;
        let terminal = ice.get::<Terminal>(id)?;
        let front = ice.all::<Terminal>().find(|(_, t)| t.foreground != 0);
        let front = front.and_then(|(id, _)| ice.get::<Process>(id)).map(|p| p.pgid);
        let shell = front.is_some() && does_job_control(ice, process);
        let job = front.filter(|pgid| *pgid != process.pgid);
        if options.detach || (is_pipe(rustix::stdio::stdout()) && !shell) {
            return None;
        }
        let wanted = terminal.settings.clone();
        if let Ok(tty) = File::options().read(true).write(true).open("/dev/tty") {
            let group = rustix::process::getpgrp();
            let in_front = tcgetpgrp(&tty).ok()? == group;
            let led = process.pid == process.pgid && front.is_some();
            let leads = led && (shell || group == rustix::process::getpid());
            return Some(Self { tty: Arc::new(tty), group: Some(group), in_front, leads, job, wanted });
        }
        let standard = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        let tty = standard.into_iter().find(|fd| tcgetattr(fd).is_ok())?;
        let tty = Arc::new(rustix::io::fcntl_dupfd_cloexec(tty, 3).ok()?.into());
        Some(Self { tty, group: None, in_front: true, leads: false, job: None, wanted })
    }

    /// Shall the program lead a process group of its own?
    pub fn leads(&self) -> bool {
        self.leads
    }

    /// The process group of one that it has started, if that was in the foreground.
    pub fn job(&self) -> Option<u64> {
        self.job
    }

    /// Is it our turn?
    pub fn in_front(&self) -> bool {
        self.in_front
    }

    /// The terminal in the mode that the program had its own in. What is the terminal's own affair (speed, erase character) stays.
    pub fn give(&self) {
        let wanted = &self.wanted;
        let Ok(mut t) = tcgetattr(&*self.tty) else { return };
        let ours = t.input_modes & InputModes::IUTF8;
        t.input_modes = InputModes::from_bits_retain(wanted.iflag.0 as u32) & !InputModes::IUTF8 | ours;
        t.output_modes = OutputModes::from_bits_retain(wanted.oflag.0 as u32);
        t.local_modes = LocalModes::from_bits_retain(wanted.lflag.0 as u32);
        let control = |at: usize| wanted.controls.get(at).copied().unwrap_or(0);
        t.special_codes[Index::VTIME] = control(5);
        t.special_codes[Index::VMIN] = control(6);
        for (at, index) in CHARACTERS {
            if at != ERASE || control(at) == 0 {
                t.special_codes[index] = control(at);
            }
        }
        let _ = tcsetattr(&*self.tty, OptionalActions::Drain, &t);
    }
}

/// An interactive shell keeps the number of its own process group, to which it gives the terminal back after each command. Known by that it leads
/// its group on a terminal and ignores SIGTTOU.
fn does_job_control(ice: &Ice, process: &Process) -> bool {
    let ignores = |a: &Actions| a.actions.iter().any(|a| a.signal == libc::SIGTTOU as u32 && a.handler.0 == 1);
    process.pid == process.pgid && ice.all::<Actions>().any(|(_, a)| ignores(a))
}

fn is_pipe(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|s| {
        let kind = FileType::from_raw_mode(s.st_mode);
        kind == FileType::Fifo || kind == FileType::Socket
    })
}

/// The terminal while the program has it; dropping this puts our own settings and process group back.
pub struct Handover {
    foreground: Foreground,
    /// Our terminal's settings, to be put back: there while the program has the terminal.
    ours: Option<Termios>,
    /// The program's, from when it last had it.
    theirs: Option<Termios>,
    /// The program's group, if it leads one.
    group: Option<Pid>,
}

impl Handover {
    /// Remembers what the terminal is like; from here on it is put back when this is dropped.
    pub fn new(foreground: Foreground) -> Option<Self> {
        let ours = tcgetattr(&*foreground.tty).ok()?;
        cryo_tracee::tty::ignore_background();
        let ours = foreground.in_front.then_some(ours);
        Some(Self { foreground, ours, theirs: None, group: None })
    }

    /// The program runs: it is told to look at its terminal. One that draws its own screen does so only for a size that is not what it knows.
    pub fn began(&mut self, pid: i32) {
        self.group = Pid::from_raw(pid).filter(|_| self.foreground.leads);
        if self.ours.is_none() {
            return;
        }
        let Ok(size) = tcgetwinsize(&*self.foreground.tty) else { return };
        let draws = tcgetattr(&*self.foreground.tty).is_ok_and(|t| !t.local_modes.contains(LocalModes::ICANON));
        if draws && size.ws_row > 1 {
            let _ = tcsetwinsize(&*self.foreground.tty, Winsize { ws_row: size.ws_row - 1, ..size });
            std::thread::sleep(GLANCE);
            // The kernel tells it. One SIGWINCH more could come when it is done and reads its first key, which less then forgets.
            let _ = tcsetwinsize(&*self.foreground.tty, size);
        } else {
            let _ = cryo_tracee::signals::kill(pid, libc::SIGWINCH);
        }
    }

    /// Whose turn it is.
    fn front(&self) -> Option<Pid> {
        tcgetpgrp(&*self.foreground.tty).ok()
    }

    /// To the program.
    fn hand_over(&mut self) {
        let tty = &*self.foreground.tty;
        if self.ours.is_none() {
            self.ours = tcgetattr(tty).ok();
            match self.theirs.take() {
                Some(theirs) => drop(tcsetattr(tty, OptionalActions::Drain, &theirs)),
                None => self.foreground.give(),
            }
        }
        if let Some(group) = self.group {
            let _ = tcsetpgrp(tty, group);
        }
    }

    /// And back, if it has it.
    fn put_back(&mut self) {
        let tty = &*self.foreground.tty;
        let Some(ours) = self.ours.take() else { return };
        self.theirs = tcgetattr(tty).ok();
        if let Some(group) = self.foreground.group.filter(|group| tcgetpgrp(tty).ok() != Some(*group)) {
            let _ = tcsetpgrp(tty, group);
        }
        let _ = tcsetattr(tty, OptionalActions::Drain, &ours);
    }
}

impl ForegroundTerminal for Handover {
    fn stopped(&mut self, signal: i32) -> bool {
        // `fg` tells nothing to a job that runs. A program in a group of its own is stopped when it then wants the terminal, which is ours by now.
        let wants = signal == libc::SIGTTIN || signal == libc::SIGTTOU;
        if wants && self.front() == self.foreground.group {
            self.hand_over();
            return true;
        }
        self.put_back();
        false
    }

    fn continued(&mut self) {
        let front = self.front();
        if front == self.foreground.group {
            self.hand_over();
        } else if front == rustix::process::getsid(None).ok() {
            // In the background (bg) it is not its turn, and the shell has the terminal as it wants it.
            self.ours = None;
        }
    }

    fn leads(&self) -> bool {
        self.group.is_some()
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        self.put_back();
    }
}

/// The set came through our standard input, which is at its end with that. A program whose own was a terminal goes on with ours in its place.
pub fn replace_stdin(ice: &Ice, options: &Options) -> Result<()> {
    let Some((id, _)) = ice.all::<Process>().next() else { return Ok(()) };
    let number = |d: &Descriptors| d.descriptors.iter().find(|d| d.fd == 0).map(|d| d.description);
    let outside = ice.get::<Descriptors>(id).and_then(number).and_then(|d| ice.get::<Outside>(d));
    let Some(outside) = outside.filter(|o| o.policy == Policy::INHERIT && FdRule::of(&options.fds, 0).is_none()) else {
        return Ok(());
    };
    let was_terminal = outside.what.starts_with(b"/dev/");
    let tty = File::options().read(true).write(true).open("/dev/tty");
    let (file, words) = match tty {
        Ok(tty) if was_terminal && !options.detach => (tty, None),
        _ if was_terminal && !options.detach => {
            return refuse(
                RefusalKind::Terminal,
                format!(
                    "fd 0 ({}): it was a terminal, the set came through the standard input of cryo-thaw, and there is no terminal here: use \
                 --fd 0=null if the program does not read from it, or send the set into a file and thaw that in a terminal (ssh -t)",
                    outside.what
                ),
            );
        }
        _ => (
            File::options().read(true).write(true).open("/dev/null").about(|| "opening /dev/null".into())?,
            Some(format!(
                "fd 0 ({}): it is /dev/null now, since the set came through standard input (--fd 0=FILE)",
                outside.what
            )),
        ),
    };
    rustix::stdio::dup2_stdin(&file).about(|| "replacing standard input".into())?;
    if let Some(words) = words {
        options.notes.add(&words);
    }
    Ok(())
}
