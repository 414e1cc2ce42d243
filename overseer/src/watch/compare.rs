//! The overseer's view and the kernel's, side by side, while the family stands still: the history of each process that its image gets (`HIST`), with what
//! differs. A difference means that something came about by a way that is not watched; all else in the image is the kernel's view.

use cryo_format::prim::Bytes;
use cryo_format::section::history::{Difference, History, Made};
use cryo_tracee::proc::{self, Status};

use super::lists::{Descriptor, Member, kind, link};
use super::record::PathBytes;

/// SIG_IGN.
const IGNORED: u64 = 1;
/// sigaction(2): the kernel itself makes the action the default again.
const SA_RESETHAND: u64 = 0x8000_0000;
/// There are so many.
const SIGNALS: i32 = 64;

/// Of each process, by its pid.
pub fn histories(members: &[Member]) -> Vec<(i32, History)> {
    members.iter().map(|member| (member.pid, history(member))).collect()
}

fn history(member: &Member) -> History {
    let mut history = History::default();
    descriptors(member, &mut history);
    signals(member, &mut history);
    history
}

fn differs(history: &mut History, object: &str, text: &str) {
    history.differences.push(Difference { object: object.into(), text: text.into() });
}

fn descriptors(member: &Member, history: &mut History) {
    let mut open = proc::descriptors(member.pid).unwrap_or_default();
    open.sort_unstable();
    for fd in open {
        let Some(link) = link(member.pid, fd) else { continue };
        let is = kind(&link);
        history.compared += 1;
        let known = member.descriptors.get(&fd);
        if let Some(known) = known {
            history.descriptors.push(made(fd, known, &is));
        }
        match known.map(|d| d.kind.as_str()) {
            Some(seen) if seen == is => {}
            None | Some("?") => differs(
                history,
                &format!("fd {fd}"),
                &format!("the overseer has not seen where it came from (a {is}): perhaps from another process"),
            ),
            Some(seen) => {
                differs(
                    history,
                    &format!("fd {fd}"),
                    &format!("the overseer has seen a {seen} come there, and it is a {is}"),
                );
            }
        }
    }
}

fn made(fd: i32, d: &Descriptor, is: &str) -> Made {
    let path = |path: &Option<PathBytes>| path.as_ref().map_or_else(Bytes::default, |p| p.0.clone().into());
    Made {
        fd: fd as u32,
        mode: d.mode,
        order: d.order,
        flags: d.flags,
        source: d.from.map_or(-1, i64::from),
        kind: if d.kind == "?" { is } else { &d.kind }.into(),
        path: path(&d.path),
        absolute: path(&d.absolute),
        names: d.renamed.iter().map(|name| name.0.clone().into()).collect(),
    }
}

fn signals(member: &Member, history: &mut History) {
    let Ok(status) = Status::of(member.pid) else { return };
    let (caught, ignored) = (status.hex("SigCgt"), status.hex("SigIgn"));
    let name = |ignored, caught| match (ignored, caught) {
        (true, _) => "ignored",
        (_, true) => "handled",
        _ => "left to its default",
    };
    for signal in 1..=SIGNALS {
        history.compared += 1;
        let has = |set: u64| set >> (signal - 1) & 1 != 0;
        let is = name(has(ignored), has(caught));
        let handler = member.handlers.get(&signal);
        let seen = name(handler.is_some_and(|h| h.handler == IGNORED), handler.is_some());
        let once = handler.is_some_and(|h| h.flags & SA_RESETHAND != 0) && is == "left to its default";
        if is != seen && !once {
            differs(history, &format!("signal {signal}"), &format!("the overseer has seen it {seen}, and it is {is}"));
        }
    }
}
