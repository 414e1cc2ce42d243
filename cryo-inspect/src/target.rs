//! What a person means by a place in memory: an address, a symbol, a register, a segment, and how much of it.

use anyhow::{Context, bail};

use crate::address::{hex, number};
use crate::arch::Registers;
use crate::modules::Modules;
use crate::print::Cx;
use crate::space::Space;
use crate::text::clipped;

/// A range of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it begins.
    pub start: u64,
    /// Its length, as far as that was said, or follows from what was named.
    pub len: Option<u64>,
}

/// `0x7f00`, `main`, `main+0x10`, `$rsp`, `[stack]`, `libc.so.6`, each with `+LEN` or `-END` behind it where that is asked for.
///
/// A segment is meant by a name as `map` shows it; an address in hex without `0x` only if there is no symbol of that name.
pub fn find(text: &str, cx: &Cx<'_>, space: &Space<'_>, modules: &Modules) -> anyhow::Result<Target> {
    if let Some(target) = place(text, cx, space, modules) {
        return Ok(target);
    }
    if let Some((start, end)) = text.split_once('-')
        && let (Ok(start), Ok(end)) = (hex(start), hex(end))
    {
        if start >= end {
            bail!("the range {text} is empty");
        }
        return Ok(Target { start, len: Some(end - start) });
    }
    if let Some((what, len)) = plus(text)? {
        return Ok(Target { start: find(what, cx, space, modules)?.start, len: Some(len) });
    }
    if text.starts_with('$') {
        let names = cx.arch().register_names().into_iter().filter(|name| !NO_ADDRESSES.contains(name));
        let names: Vec<String> = names.map(|name| format!("${name}")).collect();
        bail!("{text}: no register of {} that has an address: {}", cx.arch().name(), names.join(" "));
    }
    bail!("{text}: no address in hex, no symbol, no register ($sp), and no segment as `cryo-inspect map` shows them")
}

/// As [`find`], where `+N` is an offset and not a length.
pub fn point(text: &str, cx: &Cx<'_>, space: &Space<'_>, modules: &Modules) -> anyhow::Result<u64> {
    Ok(match plus(text)? {
        Some((what, offset)) => find(what, cx, space, modules)?.start.wrapping_add(offset),
        None => find(text, cx, space, modules)?.start,
    })
}

/// `WHAT+N`, taken apart.
fn plus(text: &str) -> anyhow::Result<Option<(&str, u64)>> {
    let Some((what, n)) = text.rsplit_once('+') else { return Ok(None) };
    let n = number(n).or_else(|_| hex(n)).with_context(|| format!("{text}: {n} is no number"))?;
    Ok(Some((what, n)))
}

fn place(text: &str, cx: &Cx<'_>, space: &Space<'_>, modules: &Modules) -> Option<Target> {
    if let Some(name) = text.strip_prefix('$') {
        return register(name, cx).map(|start| Target { start, len: None });
    }
    if text.starts_with("0x")
        && let Ok(start) = hex(text)
    {
        return Some(Target { start, len: None });
    }
    if let Some((_, s)) = modules.named(text).first() {
        return Some(Target { start: s.addr, len: Some(s.size).filter(|n| *n > 0) });
    }
    let segment = space.vmas.iter().find(|v| !v.name.is_empty() && clipped(&v.name, 256) == text);
    if let Some(v) = segment {
        return Some(Target { start: v.start.0, len: Some(v.end.0 - v.start.0) });
    }
    if let Some(m) = modules.0.iter().find(|m| m.name == text || m.path == text.as_bytes()) {
        return Some(Target { start: m.start, len: Some(m.end - m.start) });
    }
    hex(text).ok().map(|start| Target { start, len: None })
}

/// Registers that have no addresses.
const NO_ADDRESSES: [&str; 10] = ["cs", "ss", "ds", "es", "fs", "gs", "rflags", "eflags", "orig_rax", "orig_eax"];

/// A general register of the first thread that is looked at.
fn register(name: &str, cx: &Cx<'_>) -> Option<u64> {
    if NO_ADDRESSES.contains(&name) {
        return None;
    }
    Registers::of(cx.ice, cx.owner)?.get(name)
}
