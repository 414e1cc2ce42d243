//! Running other programs. Each has a time limit, and when that is reached its whole family goes.

use std::{
    ffi::OsStr,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// The cargo that runs us, in the checkout. What it builds goes to `target` there, wherever a person has it go otherwise: that is where it is
/// looked for.
pub fn cargo(args: &[&str]) -> Command {
    let mut cmd = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cmd.args(args).current_dir(root()).env("CARGO_TARGET_DIR", root().join("target"));
    cmd
}

/// A program that holds no descriptor but the first three, whatever a shell or a build server left open for us: such a one leads
/// outside, and the program could not be frozen with it. (Closing it here would take `unsafe`; the pid stays the same.)
pub fn bare(program: impl AsRef<OsStr>) -> Command {
    const CLOSE: &str =
        r#"for fd in /proc/$$/fd/*; do fd=${fd##*/}; [ "$fd" -gt 2 ] && eval "exec $fd>&-"; done; exec "$@""#;
    let mut cmd = Command::new("bash");
    cmd.args(["-c", CLOSE, "bash"]).arg(program);
    cmd
}

/// Shows a command as one would type it.
pub fn show(cmd: &Command) {
    println!("$ {}", line(cmd));
}

/// A command as one would type it.
pub fn line(cmd: &Command) -> String {
    let program = Path::new(cmd.get_program()).file_name().unwrap_or(cmd.get_program());
    let envs =
        cmd.get_envs().filter_map(|(k, v)| Some(format!("{}={}", k.to_string_lossy(), quoted(&v?.to_string_lossy()))));
    let words = std::iter::once(program).chain(cmd.get_args()).map(|w| quoted(&w.to_string_lossy()));
    envs.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs a command to its end; it must succeed.
pub fn check(cmd: &mut Command, limit: Duration) -> Result<()> {
    let mut child = cmd.spawn().with_context(|| format!("cannot start `{}`", line(cmd)))?;
    let status = wait(&mut child, &line(cmd), limit)?;
    if !status.success() {
        bail!("`{}`: {status}", line(cmd));
    }
    Ok(())
}

/// Runs a command to its end; it must succeed. What it prints is the result.
pub fn capture(cmd: &mut Command, limit: Duration) -> Result<String> {
    let text = line(cmd);
    let mut child = cmd.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{text}`"))?;
    let mut pipe = child.stdout.take().context("no stdout")?;
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut out = Vec::new();
        let _ = pipe.read_to_end(&mut out);
        let _ = send.send(out);
    });
    let status = wait(&mut child, &text, limit)?;
    if !status.success() {
        bail!("`{text}`: {status}");
    }
    // Something it left in the background may still hold the pipe.
    let out =
        receive.recv_timeout(Duration::from_secs(5)).with_context(|| format!("`{text}` ended, its output did not"))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Waits for a child, and ends it with all its family when the limit is reached.
pub fn wait(child: &mut Child, what: &str, limit: Duration) -> Result<ExitStatus> {
    let pid = Pid::from_raw(child.id() as i32).context("no pid")?;
    let ended = pidfd_open(pid, PidfdFlags::empty())?;
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            end_family(child.id());
            let _ = child.wait();
            bail!("`{what}` took longer than {} s and was ended", limit.as_secs());
        }
        // Not by looking from time to time: the bench measures what takes milliseconds.
        let rest = Timespec { tv_sec: rest.as_secs() as i64, tv_nsec: i64::from(rest.subsec_nanos()) };
        let _ = poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&rest));
    }
}

/// Kills a process that we started, and what it started.
pub fn end_family(pid: u32) {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children: Vec<u32> = tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| text.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<u32>>())
        .collect();
    if let Some(pid) = Pid::from_raw(pid as i32) {
        let _ = kill_process(pid, Signal::KILL);
    }
    children.into_iter().for_each(end_family);
}

/// A background process that goes when we do.
pub struct Guard(pub Child);

impl Drop for Guard {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            end_family(self.0.id());
            let _ = self.0.wait();
        }
    }
}
