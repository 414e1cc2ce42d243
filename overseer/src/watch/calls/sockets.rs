//! Sockets.

use cryo_tracee::Stopped;
use cryo_tracee::tracees::{Call, Watch};

use super::{fd, made, result, two_fds};
use crate::watch::record::What;

pub const WATCHED: &[Watch] = &[
    result("socket", 41, 359),
    result("socketpair", 53, 360),
    result("accept", 43, 0),
    result("accept4", 288, 364),
    made("bind", 49, 361),
    made("connect", 42, 362),
    made("listen", 50, 363),
    // Of 32-bit code: all of them, with their arguments in memory.
    result("socketcall", 0, 102),
];

pub fn tell(name: &str, call: &Call, result: i64, thread: &Stopped) -> Option<What> {
    let [mut a, mut b, mut c, mut d, ..] = call.args;
    let mut name = name;
    if name == "socketcall" {
        let words: Vec<u64> = (0..4).map(|n| super::word(thread, call, b, n).unwrap_or(0)).collect();
        name = match a {
            1 => "socket",
            2 => "bind",
            3 => "connect",
            4 => "listen",
            5 => "accept",
            8 => "socketpair",
            18 => "accept4",
            _ => return None,
        };
        (a, b, c, d) = (words[0], words[1], words[2], words[3]);
    }
    let address = || {
        let mut bytes = vec![0; (c as usize).min(128)];
        let n = thread.peek(b, &mut bytes);
        bytes.truncate(n);
        bytes
    };
    match name {
        "bind" => Some(What::Bound { fd: fd(a), address: address() }),
        "connect" => Some(What::Connected { fd: fd(a), address: address() }),
        "listen" => Some(What::Listening { fd: fd(a), backlog: b as i32 }),
        _ if result < 0 => None,
        "socket" => Some(What::Socket { fd: result as i32, domain: a as i32, kind: b as i32, protocol: c as i32 }),
        "socketpair" => Some(What::Pair { fds: two_fds(thread, d)?, kind: "socket".into() }),
        _ => Some(What::Accepted { fd: result as i32, from: fd(a) }),
    }
}
