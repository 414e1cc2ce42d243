//! The process that holds a template, and serves those who ask: one after another, since a process has one tracer. What it waits for has a limit.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use cryo_tracee::background::{self, Signals};
use cryo_tracee::namespace::{ENDED, Event, FAILED, READY, RUNS, STOPPED, tell};
use rustix::event::{PollFd, PollFlags, poll};

use super::directory::{self, Called, Name};
use super::held::Held;
use super::message::{self, How, Request};
use crate::Result;
use crate::error::About;
use crate::ice::Ice;
use crate::options::Options;
use crate::stand::Voice;

/// How long one who asks may take to say what they want.
const LIMIT: Duration = Duration::from_secs(5);

/// Starts the holder of a template of this set, and returns what it is called when it stands; or the exit status, if the
/// holder has complained.
pub fn start(
    ice: Ice,
    options: Options,
    called: &Called,
    voice: &dyn Voice,
) -> Result<std::result::Result<String, i32>> {
    called.check()?;
    let mut told = background::start(|tell| match hold(ice, options, called, voice, tell) {
        Ok(()) => 0,
        Err(e) => voice.complain(e),
    })?;
    let mut name = String::new();
    told.read_to_string(&mut name).about(|| "waiting for the template".into())?;
    Ok(if name.is_empty() { Err(crate::FAILED) } else { Ok(name) })
}

fn hold(ice: Ice, options: Options, called: &Called, voice: &dyn Voice, mut tell: File) -> Result<()> {
    let signals = Signals::block()?;
    let held = Held::hold(ice, options)?;
    let (listener, name) = directory::listen(called)?;
    voice.notes();
    let null = File::options().read(true).write(true).open("/dev/null").about(|| "opening /dev/null".into())?;
    let mut holder = Holder { held: Some(held), name: Some(name), null, made: 0, copies: HashMap::new() };
    holder.stand_for(&[])?;
    // It keeps nothing busy that who started it had.
    cryo_tracee::fds::close_inherited()?;
    std::env::set_current_dir("/").about(|| "going to /".into())?;
    if let Some(name) = &holder.name {
        tell.write_all(name.name.as_bytes()).about(|| "telling the template's name".into())?;
    }
    drop(tell);
    holder.serve(&listener, &signals, voice)
}

struct Holder {
    /// It goes when it is to end; the holder stays for the copies that somebody waits for.
    held: Option<Held>,
    name: Option<Name>,
    null: File,
    made: u64,
    /// Copies that are our own children, with who waits for them. (Of one in a namespace its init tells.)
    copies: HashMap<i32, File>,
}

impl Holder {
    fn serve(&mut self, listener: &UnixListener, signals: &Signals, voice: &dyn Voice) -> Result<()> {
        while self.held.is_some() || !self.copies.is_empty() {
            let mut ready = [PollFd::new(signals, PollFlags::IN), PollFd::new(listener, PollFlags::IN)];
            match poll(&mut ready, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e).about(|| "waiting for who asks for copies".into()),
            }
            let asked = !ready[1].revents().is_empty();
            let ends = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];
            if signals.come()?.iter().any(|signal| ends.contains(signal)) {
                self.end();
            }
            if asked && let Ok((caller, _)) = listener.accept() {
                self.answer(caller, voice);
            }
            self.look();
        }
        Ok(())
    }

    /// No more copies: the template goes, and its name.
    fn end(&mut self) {
        self.name = None;
        self.held = None;
    }

    /// Tells what has become of copies. What a remote call waits for may take a SIGCHLD away: so it is asked whenever something has happened.
    fn look(&mut self) {
        while let Some((pid, event)) = background::event() {
            let (letter, number) = match event {
                Event::Stopped(signal) => (STOPPED, signal),
                Event::Ended(code) => (ENDED, code),
            };
            if let Some(caller) = self.copies.get_mut(&pid) {
                tell(caller, letter, number);
            }
            if letter == ENDED {
                self.copies.remove(&pid);
                if self.held.as_ref().is_some_and(|held| held.pid() == pid) {
                    self.end();
                }
            }
        }
    }

    /// Who asks may say anything and go at any time; they get no copy then, and that is all.
    fn answer(&mut self, mut caller: UnixStream, voice: &dyn Voice) {
        let limits = caller.set_read_timeout(Some(LIMIT)).and(caller.set_write_timeout(Some(LIMIT)));
        if limits.is_err() || !directory::is_ours(&caller) {
            return;
        }
        match message::receive(&caller) {
            Ok(Some(Request::Copy { how, lent })) => {
                if self.stand_for(&lent).is_ok() {
                    self.copy(&caller, how, &lent, voice);
                }
                drop(lent);
                let _ = self.stand_for(&[]);
            }
            Ok(Some(Request::About)) => {
                let (pid, kept) = self.held.as_ref().map_or((0, 0), |held| (held.pid(), held.kept_bytes() / 1024));
                let _ = writeln!(caller, "{pid} {} {kept}", self.made);
            }
            Ok(Some(Request::End)) => self.end(),
            Ok(None) | Err(_) => {}
        }
    }

    /// What is asked of our own standard descriptors is true of the caller's; and what we say goes there.
    fn stand_for(&self, lent: &[(u32, OwnedFd)]) -> Result<()> {
        let own = |number| lent.iter().find(|(n, _)| *n == number).map_or(self.null.as_fd(), |(_, fd)| fd.as_fd());
        let about = || "taking over the standard descriptors".to_owned();
        rustix::stdio::dup2_stdin(own(0)).about(about)?;
        rustix::stdio::dup2_stdout(own(1)).about(about)?;
        rustix::stdio::dup2_stderr(own(2)).about(about)
    }

    fn copy(&mut self, caller: &UnixStream, how: How, lent: &[(u32, OwnedFd)], voice: &dyn Voice) {
        let Some(held) = &mut self.held else { return };
        let Ok(answer) = caller.as_fd().try_clone_to_owned() else { return };
        let mut answer = File::from(answer);
        let copied = match held.copy(how, lent, caller) {
            Ok(copied) => copied,
            Err(e) => return tell(&mut answer, FAILED, voice.complain(e)),
        };
        // Nothing may fail any more: from here on the caller's signals are the program's.
        tell(&mut answer, READY, 0);
        if !matches!(answer.read(&mut [0]), Ok(1)) {
            return voice.forget();
        }
        voice.notes();
        if let Some(words) = copied.words() {
            voice.say(&words);
        }
        let (pid, is_child) = (copied.pid(), copied.is_child());
        tell(&mut answer, RUNS, pid);
        copied.run();
        if is_child {
            self.copies.insert(pid, answer);
        }
        self.made += 1;
    }
}
