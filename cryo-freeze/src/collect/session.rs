//! What belongs to a login more than to a program, and becomes that of who thaws it: the nice value of the session's autogroup, the id of the audit
//! system, the label of a security module. Noted where it is another one than the freezer's.

use super::{Collected, Scene};

/// Notes what differs.
pub fn note(scene: &Scene<'_>, out: &mut Collected) {
    let theirs = |file| scene.facts.file(file).map_or_else(String::new, |b| text(b));
    let ours = |file| scene.machine.ours.get(file).map_or_else(String::new, |b| text(b));
    // sched(7): "/autogroup-25 nice 0".
    let nice = |text: String| text.rsplit_once(' ').and_then(|(_, nice)| nice.parse::<i32>().ok());
    let our_nice = || nice(ours("autogroup"));
    if let Some(nice) = nice(theirs("autogroup")).filter(|theirs| *theirs != 0 && our_nice() != Some(*theirs)) {
        out.note("autogroup", format!("the nice value {nice} of its session (/proc/PID/autogroup) is not carried"));
    }
    for (file, what) in [("loginuid", "audit login id"), ("attr/current", "security label")] {
        let (theirs, ours) = (theirs(file), ours(file));
        if !theirs.is_empty() && theirs != ours {
            out.note(
                format!("/proc/PID/{file}"),
                format!("its {what} ({theirs}) is not carried: it gets that of who thaws it"),
            );
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches(['\0', '\n']).to_owned()
}
