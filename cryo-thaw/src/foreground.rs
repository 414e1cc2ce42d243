//! The terminal in whose foreground the command runs: the thawed program takes it over, and gives it back.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use cryo_format::section::process::Process;
use cryo_format::section::terminal::{Settings, Terminal};
use cryo_tracee::foreground::ForegroundTerminal;
use rustix::process::Pid;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex as Index, Termios, Winsize, tcgetattr,
    tcgetpgrp, tcgetwinsize, tcsetattr, tcsetpgrp, tcsetwinsize,
};

use crate::ice::Ice;
use crate::options::Options;

/// How long a program may take to look at a window's size before it changes back.
const GLANCE: Duration = Duration::from_millis(50);

/// The special characters, by their places in c_cc. They are the program's: emacs has ^G for INTR, others switch some off. But for ERASE, which is
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

/// The terminal in whose foreground process group this command is; or one that it was given as a standard descriptor and that is nobody's controlling
/// terminal here.
#[derive(Clone, Debug)]
pub struct Foreground {
    tty: Arc<File>,
    /// Our process group, if it is our controlling terminal.
    group: Option<Pid>,
}

impl Foreground {
    /// Ours, if we have one and the program had one, too.
    pub fn find(ice: &Ice, options: &Options) -> Option<Self> {
        let (id, _) = ice.all::<Process>().next()?;
        ice.get::<Terminal>(id)?;
        if options.detach {
            return None;
        }
        if let Ok(tty) = File::options().read(true).write(true).open("/dev/tty") {
            let group = rustix::process::getpgrp();
            return (tcgetpgrp(&tty).ok()? == group).then(|| Self { tty: Arc::new(tty), group: Some(group) });
        }
        let standard = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        let tty = standard.into_iter().find(|fd| tcgetattr(fd).is_ok())?;
        Some(Self { tty: Arc::new(rustix::io::fcntl_dupfd_cloexec(tty, 3).ok()?.into()), group: None })
    }

    /// Is it our controlling terminal?
    pub fn controlling(&self) -> bool {
        self.group.is_some()
    }

    /// The terminal in the mode that the program had its own in. What is the terminal's own affair (speed, erase character) stays.
    pub fn give(&self, wanted: &Settings) {
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

/// The terminal while the program has it; dropping this puts our own settings and process group back.
pub struct Handover {
    foreground: Foreground,
    /// Our terminal's settings, to be put back.
    ours: Termios,
    /// The program's, while we have it back.
    theirs: Option<Termios>,
    /// The program's group, if it leads one.
    group: Option<Pid>,
}

impl Handover {
    /// Remembers what the terminal is like; from here on it is put back when this is dropped.
    pub fn new(foreground: Foreground) -> Option<Self> {
        let ours = tcgetattr(&*foreground.tty).ok()?;
        cryo_tracee::tty::ignore_background();
        Some(Self { foreground, ours, theirs: None, group: None })
    }

    /// The program runs: it is told to look at its terminal. One that draws its own screen does so only for a size that is not what it knows.
    pub fn began(&mut self, pid: i32) {
        self.group = tcgetpgrp(&*self.foreground.tty).ok().filter(|g| Some(*g) != self.foreground.group);
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

    fn put_back(&self) {
        let tty = &*self.foreground.tty;
        if let Some(ours) = self.foreground.group
            && (self.group.is_some() || tcgetpgrp(tty).is_ok_and(|g| g != ours))
        {
            let _ = tcsetpgrp(tty, ours);
        }
        let _ = tcsetattr(tty, OptionalActions::Drain, &self.ours);
    }
}

impl ForegroundTerminal for Handover {
    fn stopped(&mut self) {
        self.theirs = tcgetattr(&*self.foreground.tty).ok();
        self.put_back();
    }

    fn continued(&mut self) {
        let tty = &*self.foreground.tty;
        // In the background (bg) it is not its turn.
        if tcgetpgrp(tty).ok() != self.foreground.group {
            return;
        }
        let Some(theirs) = self.theirs.take() else { return };
        if let Ok(ours) = tcgetattr(tty) {
            self.ours = ours;
        }
        let _ = tcsetattr(tty, OptionalActions::Drain, &theirs);
        if let Some(group) = self.group {
            let _ = tcsetpgrp(tty, group);
        }
    }

    fn leads(&self) -> bool {
        self.group.is_some()
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        if self.theirs.is_none() {
            self.put_back();
        }
    }
}
