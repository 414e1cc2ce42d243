//! Processes: what they execute, and what they ask to be. That they are born and end the tracer is told without a call being watched.

use cryo_tracee::Stopped;
use cryo_tracee::tracees::{Call, Watch, When};

use super::{made, watch};
use crate::watch::record::What;

/// prctl(2): PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_CHILD_SUBREAPER.
const TOLD: &[u32] = &[1, 4, 15, 36];

pub const WATCHED: &[Watch] = &[
    made("execve", 59, 11),
    made("execveat", 322, 358),
    watch("prctl", 157, 172, When::In(0, TOLD), false),
    made("setpgid", 109, 57),
    made("setsid", 112, 66),
];

pub fn tell(name: &str, call: &Call, _result: i64, thread: &Stopped) -> Option<What> {
    let [a, b, ..] = call.args;
    match name {
        "execve" => Some(What::Execute { path: thread.peek_string(a)?.into() }),
        "execveat" => Some(What::Execute { path: thread.peek_string(b)?.into() }),
        "prctl" => Some(What::Prctl { option: a as i32, value: b }),
        "setpgid" => Some(What::Group { pid: a as i32, group: b as i32 }),
        _ => Some(What::Session),
    }
}
