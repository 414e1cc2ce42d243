//! Sockets.

use cryo_tracee::Stopped;
use cryo_tracee::tracees::{Call, Watch};

use super::{fd, made, result, two_fds};
use crate::watch::{lists, record::What};

pub const WATCHED: &[Watch] = &[
    result("socket", 41, 359),
    result("socketpair", 53, 360),
    result("accept", 43, 0),
    result("accept4", 288, 364),
    made("bind", 49, 361),
    made("connect", 42, 362),
    made("listen", 50, 363),
    // Of those that have room for descriptors ([`matters`]).
    result("recvmsg", 47, 372),
    result("recvmmsg", 299, 337),
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
            17 => "recvmsg",
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
        "recvmsg" => received(&[b], call.i386, thread),
        "recvmmsg" => {
            let size = if call.i386 { 32 } else { 64 };
            let all: Vec<u64> = (0..result.min(1024) as u64).map(|n| b + n * size).collect();
            received(&all, call.i386, thread)
        }
        _ => Some(What::Accepted { fd: result as i32, from: fd(a) }),
    }
}

/// Where struct msghdr (recvmsg(2)) has its control messages and how many bytes they are, and how long a word of it is.
const fn control(i386: bool) -> (u64, u64, usize) {
    if i386 { (16, 20, 4) } else { (32, 40, 8) }
}

/// The control messages that a struct msghdr leads to, or the room for them.
fn controls(message: u64, i386: bool, thread: &Stopped) -> Option<(u64, usize)> {
    let (at, len, size) = control(i386);
    let word = |at: u64| {
        let mut bytes = [0; 8];
        (thread.peek(message.wrapping_add(at), &mut bytes[..size]) == size).then(|| u64::from_le_bytes(bytes))
    };
    Some((word(at)?, word(len)? as usize)).filter(|(at, len)| *at != 0 && *len != 0)
}

/// Is the result of this call of interest? Descriptors come only to who has room for them.
pub fn matters(call: &Call, thread: &Stopped) -> bool {
    super::name(call) != Some("recvmsg") || controls(call.args[1], call.i386, thread).is_some()
}

/// The descriptors that came with these messages.
fn received(messages: &[u64], i386: bool, thread: &Stopped) -> Option<What> {
    /// SCM_RIGHTS, SCM_PIDFD; SCM_MAX_FD descriptors are the most in one message.
    const TYPES: [u32; 2] = [1, 4];
    const MOST: usize = 2048;
    let size = control(i386).2;
    let mut fds = Vec::new();
    for (at, len) in messages.iter().filter_map(|message| controls(*message, i386, thread)) {
        let mut bytes = vec![0; len.min(MOST)];
        let n = thread.peek(at, &mut bytes);
        let mut rest = &bytes[..n];
        // struct cmsghdr: its length as a word, SOL_SOCKET, its type, and what it brings.
        while let Some(len) = rest.get(..size) {
            let len = len.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte));
            let Some(one) = rest.get(size..len).filter(|one| one.len() >= 8) else { break };
            let words: Vec<u32> =
                one.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
            if words[0] == libc::SOL_SOCKET as u32 && TYPES.contains(&words[1]) {
                fds.extend(words[2..].iter().map(|fd| *fd as i32));
            }
            rest = rest.get(len.next_multiple_of(size)..).unwrap_or_default();
        }
    }
    let kind = |fd: &i32| lists::link(thread.tid(), *fd).map_or_else(|| "?".into(), |link| lists::kind(&link));
    let kinds = fds.iter().map(kind).collect();
    (!fds.is_empty()).then_some(What::Received { fds, kinds })
}
