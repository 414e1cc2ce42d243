//! Unix sockets with a name that leads to them no more: its file was removed, or its directory, or something else stands there by now.
//!
//! The kernel keeps the name as bind(2) was given it, not where it led. So such a socket is bound in a directory of ours that is thrown away when all
//! connections are made: a relative name from there, a whole one with that directory as the root (chroot(2), which takes root). An ordinary user's
//! whole name is bound where it was, if that can be.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use cryo_format::section::unix::Unix;

use super::open::open;
use super::sockets;
use super::unix_socket::{Making, shown};
use crate::Result;
use crate::bound_files::address;
use crate::error::{About, RefusalKind, reason, refuse};

const HOLD: i32 = libc::O_PATH | libc::O_CLOEXEC;

impl Making<'_, '_, '_> {
    /// bind(2) to such a name. False if it has to be bound where it was.
    pub fn bind_gone(&mut self, at: u64, s: &Unix) -> Result<bool> {
        let name = Path::new(OsStr::from_bytes(&s.name));
        let about = || format!("unix socket {}: a directory for it", shown(&s.name));
        let rights = self.table.paths.rights;
        let from = {
            let _entered = rights.enter()?;
            let dir = tempfile::Builder::new().prefix("cryo-").tempdir().about(about)?;
            // So far below that `..` stays in there.
            let up = name.components().filter(|c| *c == Component::ParentDir).count();
            let from = (0..up).fold(dir.path().to_owned(), |from, _| from.join("d"));
            let inside = name.strip_prefix("/").unwrap_or(name).parent().unwrap_or(Path::new(""));
            std::fs::create_dir_all(&from).about(about)?;
            std::fs::create_dir_all(from.join(inside)).about(about)?;
            self.scratch.push(dir);
            from
        };
        let from = [from.as_os_str().as_bytes(), b"\0"].concat();
        let whole = name.is_absolute();
        let call = if whole { libc::SYS_chroot } else { libc::SYS_chdir };
        let root = open(self.host, b"/", HOLD | libc::O_DIRECTORY)??;
        let mut batch = self.host.batch()?;
        let from = batch.put(&from);
        let entered = batch.call(call, &[from.addr]);
        match self.host.run(batch)?.result(entered) {
            Err(e) if whole && e.errno() == Some(libc::EPERM) => {
                sockets::close(self.host, root)?;
                self.make_missing(name)?;
                return Ok(false);
            }
            entered => entered?,
        };
        let bound = sockets::with_address(self.host, libc::SYS_bind, at, &address(&s.name))?;
        let file = open(self.host, &s.name, HOLD | libc::O_NOFOLLOW)?;
        if whole {
            let mut batch = self.host.batch()?;
            batch.call(libc::SYS_fchdir, &[root]);
            let dot = batch.put(b".\0");
            batch.call(libc::SYS_chroot, &[dot.addr]);
            self.host.run(batch)?.all()?;
        }
        sockets::close(self.host, root)?;
        if let Err(e) = bound {
            return refuse(
                RefusalKind::Socket,
                format!("unix socket {}: {e}: use --fd N=null|FILE for it", shown(&s.name), e = reason(&e)),
            );
        }
        let file = self.table.park(self.host, file?)?;
        self.spare.push(file);
        self.files.insert(at, file);
        Ok(true)
    }

    /// Makes the directories that are missing on the way to a name.
    fn make_missing(&mut self, name: &Path) -> Result<()> {
        let rights = self.table.paths.rights;
        let _entered = rights.enter()?;
        let mut missing: Vec<&Path> = name.ancestors().skip(1).take_while(|dir| !dir.exists()).collect();
        missing.reverse();
        for dir in missing {
            let about = || format!("unix socket {}: its directory {}", name.display(), dir.display());
            std::fs::create_dir(dir).about(about)?;
            self.table.bound.add_directory(dir.to_owned());
        }
        Ok(())
    }

    /// How the socket at `at` in the host is reached: by its name, or by its file where that is not under its name. The host is where the name is seen from.
    pub fn reach(&mut self, at: u64, s: &Unix) -> Result<Vec<u8>> {
        match self.files.get(&at) {
            Some(file) => Ok(address(format!("/proc/self/fd/{file}").as_bytes())),
            None => self.enter(s).map(|()| address(&s.name)),
        }
    }
}
