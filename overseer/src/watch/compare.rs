//! The overseer's view and the kernel's, side by side, while the family stands still. A difference means that something came about by a way that is not
//! watched; the image has the kernel's view, and says so in its notes.

use cryo_tracee::proc::{self, Status};

use super::lists::{Member, kind, link};

/// SIG_IGN.
const IGNORED: u64 = 1;
/// sigaction(2): the kernel itself makes the action the default again.
const SA_RESETHAND: u64 = 0x8000_0000;

/// What differs, of each process: the object, and what is the matter with it.
pub fn differences(members: &[Member]) -> Vec<(String, String)> {
    members.iter().flat_map(|member| descriptors(member).chain(signals(member)).collect::<Vec<_>>()).collect()
}

fn descriptors(member: &Member) -> impl Iterator<Item = (String, String)> + '_ {
    let pid = member.pid;
    proc::descriptors(pid).unwrap_or_default().into_iter().filter_map(move |fd| {
        let is = kind(&link(pid, fd)?);
        let text = match member.descriptors.get(&fd).map(|d| d.kind.as_str()) {
            Some(seen) if seen == is => return None,
            None | Some("?") => {
                format!("the overseer has not seen where it came from (a {is}): perhaps through a socket")
            }
            Some(seen) => format!("the overseer has seen a {seen} come there, and it is a {is}"),
        };
        Some((format!("process {pid}, fd {fd}"), text))
    })
}

fn signals(member: &Member) -> impl Iterator<Item = (String, String)> + '_ {
    let status = Status::of(member.pid).ok();
    let set = |key: &str| status.as_ref().map_or(0, |s| s.hex(key));
    let (caught, ignored, known) = (set("SigCgt"), set("SigIgn"), status.is_some());
    (1..=64).filter(move |_| known).filter_map(move |signal| {
        let has = |set: u64| set >> (signal - 1) & 1 != 0;
        let name = |ignored, caught| match (ignored, caught) {
            (true, _) => "ignored",
            (_, true) => "handled",
            _ => "left to its default",
        };
        let is = name(has(ignored), has(caught));
        let handler = member.handlers.get(&signal);
        let seen = name(handler.is_some_and(|h| h.handler == IGNORED), handler.is_some());
        let once = handler.is_some_and(|h| h.flags & SA_RESETHAND != 0) && is == "left to its default";
        let what = || {
            (
                format!("process {}, signal {signal}", member.pid),
                format!("the overseer has seen it {seen}, and it is {is}"),
            )
        };
        (is != seen && !once).then(what)
    })
}
