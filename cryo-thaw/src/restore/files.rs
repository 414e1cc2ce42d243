//! `FILE`: open files that a path leads to, and deleted ones whose content the image has.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cryo_format::section::files::OpenFile;
use cryo_tracee::Host;

use super::descriptors::Table;
use crate::Result;
use crate::error::refuse;

const S_IFMT: u32 = 0o170_000;
const S_IFREG: u32 = 0o100_000;

/// Flags of an open file that open(2) and fcntl(F_SETFL) bring back. Never O_CREAT, O_TRUNC, O_EXCL: an image must not make or empty a file.
const FLAGS: i32 = libc::O_ACCMODE
    | libc::O_APPEND
    | libc::O_NONBLOCK
    | libc::O_DIRECT
    | libc::O_NOATIME
    | libc::O_DIRECTORY
    | libc::O_PATH
    | libc::O_SYNC
    | libc::O_DSYNC
    | libc::O_ASYNC;

/// Opens it in the host.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(file) = table.section::<OpenFile>(id) else { return Ok(None) };
    let opened = if file.object == 0 { by_path(host, fd, file)? } else { from_image(host, fd, file, table)? };
    if file.offset != 0 && (file.mode & S_IFMT == S_IFREG || file.open_flags.0 as i32 & libc::O_DIRECTORY != 0) {
        host.call(libc::SYS_lseek, [opened, file.offset, libc::SEEK_SET as u64, 0, 0, 0])?;
    }
    Ok(Some(opened))
}

fn by_path(host: &mut Host, fd: u32, file: &OpenFile) -> Result<u64> {
    let path = Path::new(std::ffi::OsStr::from_bytes(&file.path));
    let way = format!("use --fd {fd}=FILE|null");
    let meta = match path.metadata() {
        Ok(m) => m,
        Err(e) => return refuse(format!("fd {fd} ({}): {e}: bring the file back, or {way}", file.path)),
    };
    if meta.mode() & S_IFMT != file.mode & S_IFMT || file.rdev != meta.rdev() {
        return refuse(format!("fd {fd} ({}): it is another kind of file than it was: {way}", file.path));
    }
    if file.mode & S_IFMT == S_IFREG {
        let same = (meta.dev(), meta.ino()) == (file.dev, file.ino);
        if !same && meta.len() != file.size {
            return refuse(format!(
                "fd {fd} ({}): it is not the file that was open: {} bytes here, {} when it was frozen: {way}",
                file.path,
                meta.len(),
                file.size
            ));
        }
        if meta.len() != file.size {
            cryo_tracee::say(&format!(
                "cryo-thaw: fd {fd} ({}): {} bytes now, {} when it was frozen: the program goes on at byte {}",
                file.path,
                meta.len(),
                file.size,
                file.offset
            ));
        }
    }
    let flags = file.open_flags.0 as i32 & FLAGS | libc::O_CLOEXEC | libc::O_NOCTTY;
    match open(host, &file.path, flags)? {
        Ok(opened) => Ok(opened),
        Err(e) => refuse(format!("fd {fd}: {e}: {way}")),
    }
}

/// openat(2) in the host. The outer error is ours, the inner one the file's.
pub fn open(host: &mut Host, path: &[u8], flags: i32) -> Result<cryo_tracee::Result<u64>> {
    let mut batch = host.batch()?;
    let at = batch.put(&[path, b"\0"].concat());
    let call = batch.call(libc::SYS_openat, &[libc::AT_FDCWD as u64, at.addr, flags as u64, 0o600]);
    let done = host.run(batch)?;
    Ok(done.result(call).map_err(|e| match e.errno() {
        Some(errno) => cryo_tracee::Error::sys(
            format!("opening {}", String::from_utf8_lossy(path)),
            std::io::Error::from_raw_os_error(errno),
        ),
        None => e,
    }))
}

/// A file without a name, on the file system where it was if possible; its content arrives with the pages.
fn from_image(host: &mut Host, fd: u32, file: &OpenFile, table: &mut Table<'_>) -> Result<u64> {
    let unnamed = match table.kept(file.object) {
        Some(parked) => parked,
        None => {
            let dir = Path::new(std::ffi::OsStr::from_bytes(&file.path)).parent().unwrap_or(Path::new("/tmp"));
            let flags = libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC;
            let mut made = open(host, dir.as_os_str().as_bytes(), flags)?;
            if made.is_err() {
                made = open(host, b"/tmp", flags)?;
            }
            let made = match made {
                Ok(n) => n,
                Err(e) => return refuse(format!("fd {fd} ({}, deleted): {e}", file.path)),
            };
            let parked = table.keep(host, file.object, made)?;
            let ours = table.take(parked)?;
            table.fill_through(file.object, ours.into());
            parked
        }
    };
    // Opened anew, for a description of its own with its own mode and offset.
    let flags = file.open_flags.0 as i32 & FLAGS | libc::O_CLOEXEC;
    match open(host, format!("/proc/self/fd/{unnamed}").as_bytes(), flags)? {
        Ok(opened) => Ok(opened),
        Err(e) => refuse(format!("fd {fd} ({}, deleted): {e}", file.path)),
    }
}
