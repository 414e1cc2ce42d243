//! The end of the machine, of which systemd-logind tells before it stops anything.
//!
//! Who holds an inhibitor lock of mode `delay` is told, and waited for: five seconds, or what `InhibitDelayMaxSec` in logind.conf(5) says
//! (<https://systemd.io/INHIBITOR_LOCKS>). A process of its own holds the lock and waits for the word, since a library that speaks D-Bus has threads and
//! the overseer may not have any: it forks.

use std::io::{BufRead, BufReader, Write};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use cryo_tracee::signals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use zbus::OwnedFd;
use zbus::export::futures_core::Stream;
use zbus::{Connection, block_on, proxy};

/// By this signal the overseer hears of it: the one that means the end of power.
pub const SIGNAL: i32 = libc::SIGPWR;

/// What the process says when it has the lock.
const HELD: &str = "held";

/// So long logind may take to give it.
const PATIENCE: Timespec = Timespec { tv_sec: 15, tv_nsec: 0 };

/// The process that holds the lock; the machine may go down when this is dropped.
pub struct Lock(Child);

impl Lock {
    /// Takes the lock: [`SIGNAL`] comes to the calling process when the machine is about to go down.
    ///
    /// # Errors
    ///
    /// There is no systemd-logind, or it gives no lock.
    pub fn take() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("hold-shutdown").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut lock = Self(signals::spawn(&mut command).context("starting what waits for the end of the machine")?);
        let said = lock.0.stdout.take().context("no stdout")?;
        let mut ready = [PollFd::new(&said, PollFlags::IN)];
        let mut line = String::from("no answer");
        if poll(&mut ready, Some(&PATIENCE))? > 0 {
            line.clear();
            BufReader::new(said).read_line(&mut line)?;
        }
        match line.trim() {
            HELD => Ok(lock),
            error => bail!(
                "--freeze-on shutdown: systemd-logind does not tell of it here ({error}): use SIGTERM, which a service is sent when the machine goes down"
            ),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // It has nothing to put in order.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The part of logind that this is about (org.freedesktop.login1(5)).
#[proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Manager {
    /// What is given lasts until the descriptor is closed.
    async fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<OwnedFd>;

    /// True before the machine goes down, false if that was called off.
    #[zbus(signal)]
    fn prepare_for_shutdown(&self, start: bool) -> zbus::Result<()>;
}

/// `overseer hold-shutdown`: holds the lock, tells its parent by [`SIGNAL`], and ends with it.
pub fn hold() -> Result<()> {
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != parent {
        return Ok(());
    }
    let mut out = std::io::stdout();
    if let Err(e) = block_on(tell(parent, &mut out)) {
        writeln!(out, "{e:#}")?;
    }
    Ok(())
}

async fn tell(parent: Option<Pid>, out: &mut impl Write) -> Result<()> {
    let logind = ManagerProxy::new(&Connection::system().await?).await?;
    let mut announced = logind.receive_prepare_for_shutdown().await?;
    let _lock = logind.inhibit("shutdown", "overseer", "freezes a program", "delay").await?;
    writeln!(out, "{HELD}")?;
    while let Some(announcement) = std::future::poll_fn(|cx| Pin::new(&mut announced).poll_next(cx)).await {
        if let (true, Some(parent)) = (announcement.args()?.start, parent) {
            kill_process(parent, Signal::POWER)?;
        }
    }
    // Nobody tells any more; the lock is of no use then.
    Ok(())
}
