//! Timers.

use cryo_tracee::Stopped;
use cryo_tracee::tracees::{Call, Watch};

use super::{made, result};
use crate::watch::record::{Timer, What};

pub const WATCHED: &[Watch] = &[
    made("setitimer", 38, 104),
    made("alarm", 37, 27),
    result("timer_create", 222, 259),
    made("timer_settime", 223, 260),
    made("timer_settime64", 0, 409),
    made("timer_delete", 226, 263),
];

pub fn tell(name: &str, call: &Call, result: i64, thread: &Stopped) -> Option<What> {
    let [a, _, c, ..] = call.args;
    let number = |n: u64| Timer::Posix(n as i32);
    let set = match name {
        "setitimer" => (Timer::Interval(a as i32), true),
        "alarm" => (Timer::Interval(0), a != 0),
        "timer_create" if result == 0 => {
            let mut id = [0; 4];
            thread.peek(c, &mut id);
            return Some(What::TimerMade { timer: Timer::Posix(i32::from_le_bytes(id)), clock: a as i32 });
        }
        "timer_delete" => return Some(What::TimerGone { timer: number(a) }),
        "timer_create" => return None,
        _ => (number(a), true),
    };
    Some(What::TimerSet { timer: set.0, on: set.1 })
}
