//! What the printers of sockets share.

use cryo_format::socket::SocketOption;

use super::Cx;
use crate::block::Blocks;
use crate::names::one_of;
use crate::text::wrap;
use crate::text::{clipped, count, size};

/// A line of options is at most that long.
const WIDTH: usize = 90;

/// `stream`, `dgram`, `seqpacket`, `raw`.
pub fn kind(kind: u32) -> String {
    one_of(kind.into(), &[(1, "stream"), (2, "dgram"), (3, "raw"), (5, "seqpacket")])
}

/// Another description, by the number of its first descriptor.
pub fn description(id: u64, cx: &Cx<'_>) -> String {
    let fd = cx.process.and_then(|p| cx.ice.descriptor(p, id));
    fd.map_or_else(|| format!("description {id}"), |fd| format!("fd {fd}"))
}

/// What of its ends is shut, and what waits in it.
pub fn status(out: &mut Blocks, shut: u32, kind: u32, queue: &[&[u8]]) {
    for (name, text) in [("shutdown", shutdown(shut).to_owned()), ("waiting", waiting(kind, queue))] {
        if let Some(text) = text.strip_prefix(", ") {
            write!(out, ", ");
            out.value(name, text);
        }
    }
}

/// `, receives no more`.
fn shutdown(bits: u32) -> &'static str {
    match bits {
        0 => "",
        1 => ", receives no more",
        2 => ", sends no more",
        _ => ", shut down",
    }
}

/// `, 3 messages of 120 B wait`.
fn waiting(kind: u32, queue: &[&[u8]]) -> String {
    let bytes = size(queue.iter().map(|m| m.len() as u64).sum());
    match (kind, queue) {
        (_, []) => String::new(),
        (1, _) => format!(", {bytes} wait"),
        (_, [_]) => format!(", a message of {bytes} waits"),
        _ => format!(", {} messages of {bytes} wait", queue.len()),
    }
}

/// The options that are not as usual, on lines of their own: `SO_SNDBUF 425984, SO_PASSCRED 1`.
pub fn options(options: &[SocketOption], filter: &[u8]) -> String {
    let value = |o: &SocketOption| match (o.number(), o.value.as_slice()) {
        (Some(n), _) => (n as i32).to_string(),
        (_, text) if text.iter().any(u8::is_ascii_alphabetic) && text.is_ascii() => {
            clipped(text.split(|b| *b == 0).next().unwrap_or_default(), 64)
        }
        (_, bytes) => clipped(cryo_format::prim::hex(bytes).as_bytes(), 64),
    };
    let mut all: Vec<String> = options.iter().map(|o| format!("{} {}", o.label(), value(o))).collect();
    if !filter.is_empty() {
        all.push(format!("a filter of {}", count(filter.len() as u64 / 8, "instruction", "instructions")));
    }
    let last = all.len().saturating_sub(1);
    all[..last].iter_mut().for_each(|option| option.push(','));
    if all.is_empty() { String::new() } else { format!("\n{}", wrap(all, WIDTH)) }
}

/// `  O_NONBLOCK`, or nothing.
pub fn flags(open_flags: u64) -> String {
    let names = [(0o4000, "O_NONBLOCK"), (0o20_000, "O_ASYNC")];
    let flags = crate::names::bits(open_flags & !0o3, &names, "|");
    if flags == "-" { flags } else { format!("  {flags}") }.trim_end_matches('-').to_owned()
}
