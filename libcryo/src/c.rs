//! What C sees. `include/cryo.h` is made of this file by cbindgen (`cargo xtask bless`).

use std::cell::RefCell;
use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use crate::commands::{self, Outcome};
use crate::error::{CryoError, Error};
use crate::generation::{self, CryoGeneration};

/// Freeze: let the original go on. (A process that freezes itself always does.)
pub const CRYO_LEAVE_RUNNING: c_int = 1;
/// Freeze: leave the original stopped.
pub const CRYO_LEAVE_STOPPED: c_int = 1 << 1;
/// Freeze: this process alone, without its children.
pub const CRYO_ONLY: c_int = 1 << 2;
/// Freeze: all processes of its session, too.
pub const CRYO_SESSION: c_int = 1 << 3;
/// Freeze: overwrite a set that exists.
pub const CRYO_FORCE: c_int = 1 << 4;
/// Freeze: name the pages of mapped files instead of taking them along (`--files refer`).
pub const CRYO_REFER: c_int = 1 << 5;
/// Freeze: the program finds TCP connections to other processes reset.
pub const CRYO_TCP_CLOSE: c_int = 1 << 6;
/// Freeze: the program finds unix sockets to other processes closed.
pub const CRYO_UNIX_CLOSE: c_int = 1 << 7;
/// Freeze: a copy of what other processes share.
pub const CRYO_SHARED_COPY: c_int = 1 << 8;
/// Freeze: `/dev/null` in place of every descriptor that would be refused.
pub const CRYO_OUTSIDE_NULL: c_int = 1 << 9;
/// Freeze: with CRYO_LEAVE_RUNNING, copy no pages while the process runs.
pub const CRYO_NO_LIVE: c_int = 1 << 10;
/// Thaw: leave it stopped.
pub const CRYO_STOPPED: c_int = 1 << 16;
/// Thaw: a new pid.
pub const CRYO_PID_NEW: c_int = 1 << 17;
/// Thaw: the old pid, or nothing.
pub const CRYO_PID_SAME: c_int = 1 << 18;
/// Thaw: time in the ice counts for timers.
pub const CRYO_TIME_REAL: c_int = 1 << 19;
/// Thaw: the caller's ids, groups and capabilities in place of the frozen ones.
pub const CRYO_OWN_CREDENTIALS: c_int = 1 << 20;

/// The bits, and what they are on the command line.
const FREEZE: &[(c_int, &[&str])] = &[
    (CRYO_LEAVE_RUNNING, &["--leave-running"]),
    (CRYO_LEAVE_STOPPED, &["--leave-stopped"]),
    (CRYO_ONLY, &["--only"]),
    (CRYO_SESSION, &["--session"]),
    (CRYO_FORCE, &["--force"]),
    (CRYO_REFER, &["--files", "refer"]),
    (CRYO_TCP_CLOSE, &["--tcp", "close"]),
    (CRYO_UNIX_CLOSE, &["--unix", "close"]),
    (CRYO_SHARED_COPY, &["--shared", "copy"]),
    (CRYO_OUTSIDE_NULL, &["--fd", "outside=null"]),
    (CRYO_NO_LIVE, &["--no-live"]),
];
const THAW: &[(c_int, &[&str])] = &[
    (CRYO_STOPPED, &["--stopped"]),
    (CRYO_PID_NEW, &["--pid", "new"]),
    (CRYO_PID_SAME, &["--pid", "same"]),
    (CRYO_TIME_REAL, &["--time", "real"]),
    (CRYO_OWN_CREDENTIALS, &["--own-credentials"]),
];

/// Options of `cryo_freeze()` and `cryo_thaw()`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CryoOptions {
    /// `sizeof(CryoOptions)`: a later release may have more members, which are as if zero for who does not know them.
    pub size: usize,
    /// CRYO_ bits.
    pub ops: c_int,
    /// Further arguments as on the command line, ended by NULL; or NULL.
    pub arguments: *const *const c_char,
}

thread_local! {
    static LAST: RefCell<(CryoError, CString)> = RefCell::default();
}

/// Freezes process `pid`, with all that descend from it, into the files PID.freeze, PID.frore and PID.frost in $CRYO_DIR, or in the current directory.
///
/// Returns the name of the primary file, to be freed by the caller; NULL, with errno and `cryo_strerror()`, if nothing was frozen: the process goes on
/// then. A process may freeze itself. It goes on then, whatever `ops` say, and the call returns twice: that name in the process that asked, and an
/// empty string in each one that is thawed from it.
///
/// `ops` is a sum of CRYO_ bits for freezing, or 0.
#[unsafe(no_mangle)]
pub extern "C" fn freeze_process(pid: c_int, ops: c_int) -> *mut c_char {
    let done = options(ops, FREEZE).and_then(|mut arguments| {
        let name = in_dir(pid);
        arguments.extend(["-o".into(), name]);
        commands::freeze(pid, &arguments)
    });
    answer(done.map(|outcome| match outcome {
        Outcome::Frozen(path) => copy(&path),
        Outcome::Thawed => copy(""),
    }))
    .unwrap_or(ptr::null_mut())
}

/// Thaws the set that was frozen of process `pid`: PID.freeze in $CRYO_DIR, or in the current directory.
///
/// Returns the pid of the thawed process, which is no child of the caller; -1, with errno and `cryo_strerror()`, if nothing was thawed. `ops` is a sum of
/// CRYO_ bits for thawing, or 0.
#[unsafe(no_mangle)]
pub extern "C" fn thaw_process(pid: c_int, ops: c_int) -> c_int {
    let done = options(ops, THAW).and_then(|arguments| commands::thaw(&in_dir(pid), &arguments));
    answer(done).unwrap_or(-1)
}

/// `freeze_process()` with a name for the set (NULL: as there), and options (NULL: none).
///
/// Returns 0 when it is frozen, 1 in a process that was thawed from who froze itself, -1 with errno and `cryo_strerror()` if nothing was frozen. `path`, if
/// it is not NULL, gets the name of the primary file, to be freed by the caller, or NULL.
///
/// # Safety
/// `name` and the arguments in `options` are C strings, `options->size` is right, and `path` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cryo_freeze(
    pid: c_int,
    name: *const c_char,
    options: *const CryoOptions,
    path: *mut *mut c_char,
) -> c_int {
    // SAFETY: as the caller promises.
    let given = unsafe { read(options, FREEZE) };
    // SAFETY: as the caller promises.
    let name = unsafe { text(name) }.unwrap_or_else(|| in_dir(pid));
    let done = given.and_then(|mut arguments| {
        arguments.extend(["-o".into(), name]);
        commands::freeze(pid, &arguments)
    });
    let (result, frozen) = match answer(done) {
        Some(Outcome::Frozen(path)) => (0, copy(&path)),
        Some(Outcome::Thawed) => (1, ptr::null_mut()),
        None => (-1, ptr::null_mut()),
    };
    if path.is_null() {
        // SAFETY: NULL, or of malloc.
        unsafe { libc::free(frozen.cast()) };
    } else {
        // SAFETY: as the caller promises.
        unsafe { path.write(frozen) };
    }
    result
}

/// Thaws the set NAME.freeze, with options (NULL: none). Returns as `thaw_process()` does.
///
/// # Safety
/// `name` and the arguments in `options` are C strings, and `options->size` is right.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cryo_thaw(name: *const c_char, options: *const CryoOptions) -> c_int {
    // SAFETY: as the caller promises.
    let (given, name) = unsafe { (read(options, THAW), text(name)) };
    answer(given.and_then(|arguments| commands::thaw(&name.ok_or_else(no_name)?, &arguments))).unwrap_or(-1)
}

/// What is in the set NAME.freeze, as the JSON of `cryo-inspect dump --format json`: 0, and in `json` a string to be freed by the caller; or -1 with errno and
/// `cryo_strerror()`, and NULL there.
///
/// # Safety
/// `name` is a C string, and `json` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cryo_inspect(name: *const c_char, json: *mut *mut c_char) -> c_int {
    // SAFETY: as the caller promises.
    let name = unsafe { text(name) };
    let done = answer(name.ok_or_else(no_name).and_then(|name| commands::inspect(&name)));
    let (result, said) = done.map_or((-1, ptr::null_mut()), |said| (0, copy(&said)));
    if json.is_null() {
        // SAFETY: NULL, or of malloc.
        unsafe { libc::free(said.cast()) };
    } else {
        // SAFETY: as the caller promises.
        unsafe { json.write(said) };
    }
    result
}

/// How often, when and where this process was thawed. What is there changes whenever it is; the address stays. A program that compares `count` with what it
/// was can make its connections anew, and stir its random state.
///
/// NULL, with errno and `cryo_strerror()`, where there is no memory for the page.
#[unsafe(no_mangle)]
pub extern "C" fn cryo_generation() -> *const CryoGeneration {
    answer(generation::page()).unwrap_or(ptr::null())
}

/// Why the last call of this thread did not come about, for people: the object and the way out. Empty if it did. It stays until the thread's next call.
#[unsafe(no_mangle)]
pub extern "C" fn cryo_strerror() -> *const c_char {
    LAST.with_borrow(|(_, text)| text.as_ptr())
}

/// The same for programs.
#[unsafe(no_mangle)]
pub extern "C" fn cryo_error() -> CryoError {
    LAST.with_borrow(|(kind, _)| *kind)
}

/// The version of this library.
#[unsafe(no_mangle)]
pub extern "C" fn cryo_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Keeps the error, if it is one, for `cryo_strerror()` and errno.
fn answer<T>(done: Result<T, Error>) -> Option<T> {
    let (kept, last) = match done {
        Ok(value) => (Some(value), (CryoError::None, CString::default())),
        Err(e) => (None, (e.kind, CString::new(e.text.replace('\0', " ")).unwrap_or_default())),
    };
    let errno = last.0.errno();
    LAST.set(last);
    if kept.is_none() {
        // SAFETY: errno of this thread.
        unsafe { *libc::__errno_location() = errno };
    }
    kept
}

fn options(ops: c_int, known: &[(c_int, &[&str])]) -> Result<Vec<OsString>, Error> {
    let unknown = known.iter().fold(ops, |ops, (bit, _)| ops & !bit);
    if unknown != 0 {
        return Err(Error::new(CryoError::Argument, format!("{unknown:#x}: not an option of this call")));
    }
    let set = known.iter().filter(|(bit, _)| ops & bit != 0);
    Ok(set.flat_map(|(_, words)| words.iter().map(OsString::from)).collect())
}

/// # Safety
/// As of [`cryo_freeze`].
unsafe fn read(options: *const CryoOptions, known: &[(c_int, &[&str])]) -> Result<Vec<OsString>, Error> {
    if options.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the first member is there in every release.
    let size = unsafe { options.cast::<usize>().read() };
    if size < size_of::<CryoOptions>() {
        return Err(Error::new(CryoError::Argument, format!("options of {size} bytes: size is sizeof(CryoOptions)")));
    }
    // SAFETY: it is as large as that.
    let given = unsafe { options.read() };
    let mut arguments = self::options(given.ops, known)?;
    let mut next = given.arguments;
    // SAFETY: the list of C strings ends with NULL, as the caller promises.
    unsafe {
        while !next.is_null()
            && let Some(argument) = text(*next)
        {
            arguments.push(argument);
            next = next.add(1);
        }
    }
    Ok(arguments)
}

/// # Safety
/// NULL, or a C string.
unsafe fn text(pointer: *const c_char) -> Option<OsString> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(pointer) };
    Some(OsStr::from_bytes(text.to_bytes()).to_owned())
}

fn no_name() -> Error {
    Error::new(CryoError::Argument, "the set has no name: it is NULL")
}

fn in_dir(pid: c_int) -> OsString {
    let dir = std::env::var_os("CRYO_DIR").unwrap_or_default();
    Path::new(&dir).join(pid.to_string()).into_os_string()
}

/// A copy that C can free; NULL if there is no memory for it.
fn copy(text: &str) -> *mut c_char {
    let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
    // SAFETY: a C string.
    unsafe { libc::strdup(text.as_ptr()) }
}
