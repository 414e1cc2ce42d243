//! Memory and other objects that processes share.

use cryo_tracee::Stopped;
use cryo_tracee::tracees::{Call, Watch, When};

use super::{fd, result, watch, word};
use crate::watch::record::What;

/// mmap(2): MAP_SHARED, also in MAP_SHARED_VALIDATE.
const SHARED: u32 = 1;
/// ipc(2): SEMGET, MSGGET, SHMAT, SHMGET.
const GETTING: &[u32] = &[2, 13, 21, 23];

pub const WATCHED: &[Watch] = &[
    watch("mmap", 9, 0, When::AnyOf(3, SHARED), true),
    watch("mmap2", 0, 192, When::AnyOf(3, SHARED), true),
    result("shmget", 29, 395),
    result("shmat", 30, 397),
    result("semget", 64, 393),
    result("msgget", 68, 399),
    // Of 32-bit code: mmap(2) of old, with its arguments in memory, and one call for all of System V's objects, which the C library still makes.
    result("old_mmap", 0, 90),
    watch("ipc", 0, 117, When::In(0, GETTING), true),
];

pub fn tell(name: &str, call: &Call, result: i64, thread: &Stopped) -> Option<What> {
    // Addresses of the upper half are negative, and no errno.
    if (-4095..0).contains(&result) {
        return None;
    }
    let [a, b, _, d, e, _] = call.args;
    let result = result as u64;
    match name {
        "old_mmap" => {
            let argument = |n| word(thread, call, a, n);
            let shared = argument(3)? & u64::from(SHARED) != 0;
            shared.then_some(What::SharedMemory { addr: result, len: argument(1)?, fd: fd(argument(4)?) })
        }
        // ipc(2): which call, the key or the id; shmat(2) writes the address to where the fourth argument says.
        "ipc" => Some(match a {
            21 => What::SysvAttached { addr: word(thread, call, d, 0)?, id: b as i32 },
            2 => What::Sysv { kind: "sem".into(), key: b as i32, id: result as i32 },
            13 => What::Sysv { kind: "msg".into(), key: b as i32, id: result as i32 },
            _ => What::Sysv { kind: "shm".into(), key: b as i32, id: result as i32 },
        }),
        "mmap" | "mmap2" => Some(What::SharedMemory { addr: result, len: b, fd: fd(e) }),
        "shmat" => Some(What::SysvAttached { addr: result, id: a as i32 }),
        _ => Some(What::Sysv { kind: name.trim_end_matches("get").into(), key: a as i32, id: result as i32 }),
    }
}
