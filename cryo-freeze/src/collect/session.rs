//! What belongs to a login more than to a program, and becomes that of who thaws it: the nice value of the session's autogroup, the id of the audit
//! system, the label of a security module. Noted where it is another one than the freezer's.

use cryo_tracee::proc;

use super::{Collected, Scene};

/// Notes what differs.
pub fn note(scene: &Scene<'_>, out: &mut Collected) {
    let read = |pid, file| proc::bytes(pid, file).map_or_else(|_| String::new(), |b| text(&b));
    let (them, us) = (scene.live_tid, std::process::id() as i32);
    // sched(7): "/autogroup-25 nice 0".
    let nice = |pid| read(pid, "autogroup").rsplit_once(' ').and_then(|(_, nice)| nice.parse::<i32>().ok());
    if let Some(nice) = nice(them).filter(|theirs| *theirs != 0 && nice(us) != Some(*theirs)) {
        out.note("autogroup", format!("the nice value {nice} of its session (/proc/PID/autogroup) is not carried"));
    }
    for (file, what) in [("loginuid", "audit login id"), ("attr/current", "security label")] {
        let (theirs, ours) = (read(them, file), read(us, file));
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
