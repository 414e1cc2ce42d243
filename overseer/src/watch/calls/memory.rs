//! Memory and other objects that processes share.

use cryo_tracee::Stopped;
use cryo_tracee::tracees::{Call, Watch, When};

use super::{fd, result, watch};
use crate::watch::record::What;

/// mmap(2): MAP_SHARED, also in MAP_SHARED_VALIDATE.
const SHARED: u32 = 1;

pub const WATCHED: &[Watch] = &[
    watch("mmap", 9, 0, When::AnyOf(3, SHARED), true),
    watch("mmap2", 0, 192, When::AnyOf(3, SHARED), true),
    result("shmget", 29, 395),
    result("shmat", 30, 397),
    result("semget", 64, 393),
    result("msgget", 68, 399),
];

pub fn tell(name: &str, call: &Call, result: i64, _thread: &Stopped) -> Option<What> {
    // Addresses of the upper half are negative, and no errno.
    if (-4095..0).contains(&result) {
        return None;
    }
    let [a, b, _, _, e, _] = call.args;
    let result = result as u64;
    match name {
        "mmap" | "mmap2" => Some(What::SharedMemory { addr: result, len: b, fd: fd(e) }),
        "shmat" => Some(What::SysvAttached { addr: result, id: a as i32 }),
        _ => Some(What::Sysv { kind: name.trim_end_matches("get").into(), key: a as i32, id: result as i32 }),
    }
}
