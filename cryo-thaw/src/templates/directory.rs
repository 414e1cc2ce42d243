//! Where the sockets of templates are: a directory of the user's own, in $XDG_RUNTIME_DIR or in /tmp.

use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{RenameFlags, renameat_with};
use rustix::net::sockopt::socket_peercred;

use crate::Result;
use crate::error::{About, RefusalKind, refuse};

/// The longest name of a template: with the directory it has to fit into a socket's address (unix(7)).
const LONGEST: usize = 40;

/// The directory, which is made if it is not there. Who could write into it could stand in a template's place: it is ours alone, or it is refused.
fn directory() -> Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let path = match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(runtime) => runtime.join("cryo"),
        None => PathBuf::from(format!("/tmp/cryo-{user}")),
    };
    let about = || format!("making {}", path.display());
    match std::fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e).about(about),
        _ => {}
    }
    let meta = path.symlink_metadata().about(|| format!("looking at {}", path.display()))?;
    if !meta.is_dir() || meta.uid() != user || meta.mode() & 0o077 != 0 {
        return refuse(
            RefusalKind::Untrusted,
            format!(
                "{}: the directory of templates is to be yours, and open to nobody else (it is of user {}, mode {:o}): \
                 remove it, or set XDG_RUNTIME_DIR",
                path.display(),
                meta.uid(),
                meta.mode() & 0o7777
            ),
        );
    }
    Ok(path)
}

/// The socket of a template that is held here. Dropping it takes the name away.
pub struct Name {
    path: PathBuf,
    /// What it is called.
    pub name: String,
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What a template is to be called.
#[derive(Clone, Debug)]
pub enum Called {
    /// So, or not at all: somebody has chosen it.
    Exactly(String),
    /// As that of which it is made; and where there is such a template, by the next name that is free: NAME-2, NAME-3.
    After(String),
}

impl Called {
    /// An error if it cannot be called so. It can be asked before there is a template.
    pub fn check(&self) -> Result<()> {
        let Self::Exactly(name) = self else { return Ok(()) };
        if name.starts_with('.') || name.len() > LONGEST || !name.chars().all(fits) {
            return refuse(
                RefusalKind::Argument,
                format!(
                    "--hold={name}: a template's name has letters, digits, `-`, `_` and `.`, {LONGEST} at most, and begins with no `.`"
                ),
            );
        }
        if connect_to(&directory()?.join(name)).is_ok() { self.is_taken() } else { Ok(()) }
    }

    fn is_taken<T>(&self) -> Result<T> {
        let (Self::Exactly(name) | Self::After(name)) = self;
        refuse(
            RefusalKind::Argument,
            format!(
                "there is a template {name} already: choose another name, or end that one (cryo-thaw --end {name})"
            ),
        )
    }
}

/// What a template's name is made of.
fn fits(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// A socket under this name, which was [checked](Called::check). It is seen only when it listens.
pub fn listen(called: &Called) -> Result<(UnixListener, Name)> {
    let directory = directory()?;
    let wanted = match called {
        Called::Exactly(name) => name.clone(),
        Called::After(of) => {
            of.trim_start_matches('.').chars().map(|c| if fits(c) { c } else { '_' }).take(LONGEST).collect()
        }
    };
    let wanted = if wanted.is_empty() { "template" } else { wanted.as_str() };
    let hidden = Name { path: directory.join(format!(".{}", std::process::id())), name: String::new() };
    let listener = UnixListener::bind(&hidden.path).about(|| format!("making the socket {}", hidden.path.display()))?;
    for n in 1.. {
        let name = if n == 1 { wanted.to_owned() } else { format!("{wanted}-{n}") };
        let path = directory.join(&name);
        // One whose holder was killed has left its socket.
        let _ = connect_to(&path);
        match renameat_with(rustix::fs::CWD, &hidden.path, rustix::fs::CWD, &path, RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::EXIST) if matches!(called, Called::Exactly(_)) => return called.is_taken(),
            Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(e).about(|| format!("naming the socket {}", path.display())),
            Ok(()) => return Ok((listener, Name { path, name })),
        }
    }
    refuse(RefusalKind::Internal, "all names are taken")
}

/// Connects to the template of this name.
pub fn connect(name: &str) -> Result<UnixStream> {
    let path = directory()?.join(name);
    // Our own directory is what keeps others away; nothing outside of it is ever asked.
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
    match plain.then(|| connect_to(&path)) {
        Some(Ok(stream)) => Ok(stream),
        Some(Err(e)) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            Err(e).about(|| format!("asking template {name}"))
        }
        _ => refuse(
            RefusalKind::Argument,
            format!(
                "there is no template {name} of yours: see cryo-thaw --templates; cryo-thaw NAME --hold makes one of a frozen set"
            ),
        ),
    }
}

/// The names of all that answer.
pub fn names() -> Result<Vec<String>> {
    let directory = directory()?;
    let entries = std::fs::read_dir(&directory).about(|| format!("reading {}", directory.display()))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter(|name| !name.starts_with('.') && connect_to(&directory.join(name)).is_ok()).collect();
    names.sort();
    Ok(names)
}

/// Connects to a socket; one that nobody listens on any more is taken away.
fn connect_to(path: &Path) -> std::io::Result<UnixStream> {
    let stream = UnixStream::connect(path).inspect_err(|e| {
        if e.kind() == ErrorKind::ConnectionRefused {
            let _ = std::fs::remove_file(path);
        }
    })?;
    if is_ours(&stream) { Ok(stream) } else { Err(ErrorKind::NotFound.into()) }
}

/// Is who has this other end of the same user as we are?
pub fn is_ours(stream: &UnixStream) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}
