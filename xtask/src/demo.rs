//! `cargo xtask demo`: what Cryo does, on a program that nobody prepared, with the commands that a person would type.
//!
//! Started by root, all of it but the installing and the building is done as nobody: no privilege is needed.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    os::unix::{
        ffi::OsStringExt,
        fs::{OpenOptionsExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{
    fs::OFlags,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::{
    install::{Need, ensure as install},
    run::{Guard, bare, capture, cargo, check, line, root, show, wait},
};

const NEEDS: &[Need] = &[
    Need { package: "python3", proof: "/usr/bin/python3", why: "runs the program that is frozen" },
    Need { package: "gcc", proof: "/usr/bin/gcc", why: "links what Rust builds" },
    Need { package: "libc6-dev", proof: "/usr/include/stdio.h", why: "is what it is linked with" },
    Need { package: "util-linux", proof: "/usr/bin/setpriv", why: "makes an ordinary user of root" },
];

const BUILD: Duration = Duration::from_mins(20);
/// For each thing that is done here; on the slowest machine seen they take seconds.
const LIMIT: Duration = Duration::from_mins(2);
/// The line of the program's output after which it is frozen.
const FREEZE_AT: usize = 5;
/// How much of the dump is shown.
const DUMP_LINES: &str = "40";

/// Runs the demo; an error is a copy that did not go on as the original would have.
pub fn demo() -> Result<()> {
    title("What this machine still needs");
    install(NEEDS)?;

    title("Build");
    let bins = ["--bin", "cryo-freeze", "--bin", "cryo-thaw", "--bin", "cryo-inspect"];
    let mut build = cargo(&["build", "--release", "--locked"]);
    build.args(bins);
    show(&build);
    check(&mut build, BUILD)?;

    let stage = Stage::new(&["cryo-freeze", "cryo-thaw", "cryo-inspect"], &["count.py"])?;
    println!(
        "$ cp target/release/cryo-{{freeze,thaw,inspect}} xtask/demo/count.py {0}; cd {0}; PATH=$PWD:$PATH",
        stage.path().display()
    );
    if stage.nobody {
        println!("(From here on as the user nobody: no privilege is needed.)");
    }

    title("A run that is never frozen, to compare with");
    let mut cmd = stage.command(&["python3", "count.py", "whole.txt"]);
    println!("$ {} > whole.log", stage.typed(&cmd));
    let whole = capture(&mut cmd, LIMIT)?;
    fs::write(stage.path().join("whole.log"), &whole)?;
    let whole: Vec<&str> = whole.lines().collect();
    println!("$ tail -n 1 whole.log\n{}", whole.last().context("the program printed nothing")?);

    title("The same program again, frozen in mid-flight");
    let (original, pid) = original(&stage)?;
    show(Command::new("ls").args(["-sh1", "ice.freeze", "ice.frore", "ice.frost"]));
    let sizes = ["ice.freeze", "ice.frore", "ice.frost"];
    print!("{}", capture(stage.command(&["ls", "-sh1"]).args(sizes), LIMIT)?);
    // Bash's own words that there is no such process.
    let mut gone = stage.command(&["bash", "-c", &format!("kill -0 {pid} 2>&1 || true")]);
    print!("$ kill -0 {pid}\n{}", capture(&mut gone, LIMIT)?.replace("line 1: ", ""));
    ensure!(!Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is still there");

    title("What is in the ice");
    let mut verify = stage.command(&["cryo-inspect", "verify", "ice.freeze"]);
    println!("$ {}", stage.typed(&verify));
    check(&mut verify, LIMIT)?;
    let mut dump = stage.command(&["cryo-inspect", "dump", "ice.freeze"]);
    println!("$ {} | head -n {DUMP_LINES}", stage.typed(&dump));
    for text in capture(&mut dump, LIMIT)?.lines().take(DUMP_LINES.parse()?) {
        println!("{text}");
    }

    title("Thawed twice, both at once");
    let copies = thaw_twice(&stage)?;

    title("The same end?");
    for (name, copy) in &copies {
        let told: Vec<&str> = original.iter().chain(copy).map(String::as_str).collect();
        ensure!(
            told == whole,
            "{name}: the original's {} lines and its {} are not what the unfrozen run printed",
            original.len(),
            copy.len()
        );
        println!(
            "{name}: {} lines of the original + {} of its own = the {} lines of the run that was never frozen.",
            original.len(),
            copy.len(),
            whole.len()
        );
    }
    let mut sums = stage.command(&["sha256sum", "whole.txt", "primes.txt"]);
    println!("$ {}", stage.typed(&sums));
    let sums = capture(&mut sums, LIMIT)?;
    print!("{sums}");
    let mut sums = sums.lines().filter_map(|l| l.split_whitespace().next());
    ensure!(sums.next() == sums.next(), "primes.txt, written by the original and its copies, is not whole.txt");
    println!("Right: both went on from the ice to the end as if nothing had happened.");
    Ok(())
}

/// Starts the program and freezes it; returns what it printed up to then, and the process it was.
fn original(stage: &Stage) -> Result<(Vec<String>, u32)> {
    let mut cmd = stage.command(&["python3", "count.py", "primes.txt"]);
    println!("$ {} &", stage.typed(&cmd));
    let (say, heard) = mpsc::channel();
    let (terminal, [stdin, stdout, stderr]) = terminal()?;
    let mut program = Guard(cmd.stdin(stdin).stdout(stdout).stderr(stderr).spawn()?);
    // What it was started with holds the terminal's other end too, and would keep it open.
    drop(cmd);
    tell(terminal, "", &say);
    drop(say);
    let pid = program.0.id();
    println!("[1] {pid}");

    let deadline = Instant::now() + LIMIT;
    let mut lines = Vec::new();
    while lines.len() < FREEZE_AT {
        lines.push(next(&heard, deadline)?.context("the program ended before it was frozen")?);
    }
    let mut freeze = stage.command(&["cryo-freeze", &pid.to_string(), "-o", "ice"]);
    println!("$ {}", stage.typed(&freeze));
    let start = Instant::now();
    print!("{}", capture(&mut freeze, LIMIT)?);
    println!("({} ms)", start.elapsed().as_millis());
    // cryo-freeze has ended it; what it printed in its last moment counts as well.
    let status = wait(&mut program.0, "the program, which cryo-freeze was to end,", LIMIT)?;
    while let Some(line) = next(&heard, deadline)? {
        lines.push(line);
    }
    ensure!(
        !lines.iter().any(|l| l.starts_with("done")),
        "the program ended by itself ({status}) before it was frozen"
    );
    Ok((lines, pid))
}

/// Two thaws of one image at the same time; returns what each printed.
fn thaw_twice(stage: &Stage) -> Result<Vec<(String, Vec<String>)>> {
    let (say, heard) = mpsc::channel();
    let mut copies = Vec::new();
    for name in ["copy 1", "copy 2"] {
        let mut cmd = stage.command(&["cryo-thaw", "ice.freeze"]);
        println!("$ {} | sed 's/^/{name} | /' &", stage.typed(&cmd));
        copies.push((name.to_owned(), start(&mut cmd, &format!("{name} | "), &say)?, Vec::new()));
    }
    drop(say);
    let deadline = Instant::now() + LIMIT;
    while let Some(line) = next(&heard, deadline)? {
        for (name, _, lines) in &mut copies {
            if let Some(text) = line.strip_prefix(&format!("{name} | ")) {
                lines.push(text.to_owned());
            }
        }
    }
    println!("$ wait");
    let mut ended = Vec::new();
    for (name, mut program, lines) in copies {
        let status = wait(&mut program.0, &name, LIMIT)?;
        println!("{name}: {status}");
        ensure!(status.success(), "{name} did not end well");
        ended.push((name, lines));
    }
    Ok(ended)
}

/// Starts a program in the background, its stdout a pipe to us.
fn start(cmd: &mut Command, mark: &str, say: &Sender<String>) -> Result<Guard> {
    let mut child = Guard(cmd.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{}`", line(cmd)))?);
    tell(child.0.stdout.take().context("no stdout")?, mark, say);
    Ok(child)
}

/// A terminal, as the one that a program is started in: our end, and the program's.
fn terminal() -> Result<(File, [Stdio; 3])> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).context("no terminal")?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = PathBuf::from(OsString::from_vec(ptsname(&ours, Vec::new())?.into_bytes()));
    // O_NOCTTY: it must not become ours.
    let open = || File::options().read(true).write(true).custom_flags(OFlags::NOCTTY.bits() as i32).open(&name);
    Ok((File::from(ours), [open()?.into(), open()?.into(), open()?.into()]))
}

/// Prints and tells the lines of a program, each with a mark before it, until it has ended.
fn tell(from: impl Read + Send + 'static, mark: &str, say: &Sender<String>) {
    let (mark, say) = (mark.to_owned(), say.clone());
    thread::spawn(move || {
        // A terminal that nobody holds any more ends with an error, EIO.
        for text in BufReader::new(from).lines().map_while(Result::ok) {
            let text = format!("{mark}{}", text.trim_end_matches('\r'));
            println!("{text}");
            if say.send(text).is_err() {
                break;
            }
        }
    });
}

/// The next line, or none when all who speak have ended.
fn next(heard: &Receiver<String>, deadline: Instant) -> Result<Option<String>> {
    match heard.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(line) => Ok(Some(line)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Ok(None),
        Err(mpsc::RecvTimeoutError::Timeout) => bail!("no word from the program within {} s", LIMIT.as_secs()),
    }
}

pub fn title(text: &str) {
    println!("\n== {text}");
}

/// A folder of the demo's own with the tools and the program in it, and who acts there.
pub struct Stage {
    dir: tempfile::TempDir,
    nobody: bool,
}

impl Stage {
    /// With these of our programs, and these files of `xtask/demo`.
    pub fn new(tools: &[&str], files: &[&str]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("cryo-demo-").tempdir()?;
        // Copies: a checkout in root's home is not readable for nobody.
        for tool in tools {
            fs::copy(root().join("target/release").join(tool), dir.path().join(tool))?;
        }
        for file in files {
            fs::copy(root().join("xtask/demo").join(file), dir.path().join(file))?;
        }
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let nobody = rustix::process::geteuid().is_root();
        if nobody {
            chown(dir.path(), Some(65534), Some(65534))?;
        }
        Ok(Self { dir, nobody })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A command in the folder, as an ordinary user.
    pub fn command(&self, words: &[&str]) -> Command {
        let program = match words[0] {
            // The system's own: another one in the PATH may belong to root's home.
            "python3" => PathBuf::from("/usr/bin/python3"),
            tool if self.path().join(tool).exists() => self.path().join(tool),
            other => PathBuf::from(other),
        };
        let mut cmd = if self.nobody {
            let mut cmd = bare("setpriv");
            cmd.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"]).arg(program);
            cmd
        } else {
            bare(program)
        };
        cmd.args(&words[1..]).current_dir(self.path()).stdin(Stdio::null());
        cmd
    }

    /// As one would type it: without what comes before the program.
    fn typed(&self, cmd: &Command) -> String {
        let text = line(cmd);
        let before = if self.nobody { " -- " } else { " bash " };
        let text = text.split_once(before).map_or(text.as_str(), |(_, rest)| rest);
        let here = format!("{}/", self.path().display());
        text.replace(&here, "").replace("/usr/bin/python3", "python3")
    }
}
