//! `PTIM`: POSIX timers. /proc says which there are; what is left of them only the process itself can ask. Asking brings a timer whose signal is
//! pending up to date, as any look at it does, and disturbs none.

use cryo_format::prim::Addr;
use cryo_format::section::pending::Pending;
use cryo_format::section::ptimers::{Ptimer, Ptimers};
use cryo_tracee::Remote;

use super::{Collected, RefusalKind, Scene, refuse};
use crate::Result;

/// Clocks of /proc/PID/timers: (~pid << 3) | 4 for a thread | which time. A pid of 0 is the thread, or the process, that made the timer.
const OF_A_THREAD: i32 = 4;

/// Adds the timers, if there are any. `ids` are the local ids of the threads, in their order.
pub fn collect(remote: &mut Remote<'_>, scene: &Scene<'_>, ids: &[u64], out: &mut Collected) -> Result<()> {
    let text = format!("\n{}", String::from_utf8_lossy(&scene.file("timers")?));
    let mut timers: Vec<Ptimer> = Vec::new();
    for block in blocks(&text) {
        let Some(timer) = Line::of(block) else {
            return refuse(RefusalKind::Machine, format!("/proc/{}/timers: unexpected text: ID: {block}", scene.pid));
        };
        timers.push(timer.carried(scene, ids)?);
    }
    timers.sort_by_key(|t| t.id);
    let mut rest = &mut timers[..];
    while !rest.is_empty() {
        let mut batch = remote.batch();
        let mut asked = Vec::new();
        while asked.len() < rest.len() && batch.has_room(32) {
            let id = u64::from(rest[asked.len()].id);
            let slot = batch.space(32);
            let time = batch.call(libc::SYS_timer_gettime, &[id, slot.addr]);
            asked.push((slot, time, batch.call(libc::SYS_timer_getoverrun, &[id])));
        }
        let done = remote.run(batch)?;
        let (these, others) = rest.split_at_mut(asked.len());
        for (timer, (slot, time, overrun)) in these.iter_mut().zip(asked) {
            done.result(time)?;
            let ns = |i| done.word(slot, i).saturating_mul(1_000_000_000).saturating_add(done.word(slot, i + 1));
            (timer.interval_ns, timer.value_ns, timer.overrun) = (ns(0), ns(2), done.result(overrun)?);
        }
        rest = others;
    }
    note_missed(&timers, out);
    if !timers.is_empty() {
        out.add(scene.id, Ptimers { timers: timers.into() });
    }
    Ok(())
}

/// How many expirations a pending signal stands for, the kernel tells only who takes it.
fn note_missed(timers: &[Ptimer], out: &mut Collected) {
    const SI_TIMER: i32 = -2;
    let made = |t: &&Ptimer, info: &[u8]| {
        let word = |at: usize| info.get(at..at + 4).and_then(|b| b.try_into().ok()).map(i32::from_le_bytes);
        t.interval_ns != 0
            && word(0) == Some(t.signal as i32)
            && word(8) == Some(SI_TIMER)
            && word(16) == Some(t.id as i32)
    };
    let missed: Vec<u32> = out
        .sections::<Pending>()
        .flat_map(|p| p.signals.iter())
        .filter_map(|info| timers.iter().find(|t| made(t, info)).map(|t| t.id))
        .collect();
    for id in missed {
        out.note(
            format!("POSIX timer {id}"),
            "its signal is pending: overruns are counted from the freeze on, not from before",
        );
    }
}

/// One for each timer, without the `ID: ` at their beginnings. `text` begins with a line break.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("\nID: ").skip(1)
}

/// What /proc says of one.
struct Line<'a> {
    id: u32,
    signal: u32,
    value: u64,
    /// `signal`, `none` or `thread`.
    how: &'a str,
    /// `pid` or `tid`.
    whom: &'a str,
    number: i32,
    clock: i32,
}

impl<'a> Line<'a> {
    fn of(block: &'a str) -> Option<Self> {
        let mut lines = block.lines();
        let id = lines.next()?.trim().parse().ok()?;
        let field = |key: &str| lines.clone().find_map(|l| l.strip_prefix(key)).map(str::trim);
        let (signal, value) = field("signal:")?.split_once('/')?;
        let (how, target) = field("notify:")?.split_once('/')?;
        let (whom, number) = target.split_once('.')?;
        let clock = field("ClockID:")?.parse().ok()?;
        let value = u64::from_str_radix(value.trim_start_matches("0x"), 16).ok()?;
        Some(Self { id, signal: signal.parse().ok()?, value, how, whom, number: number.parse().ok()?, clock })
    }

    fn carried(&self, scene: &Scene<'_>, ids: &[u64]) -> Result<Ptimer> {
        let notify = match (self.how, self.whom) {
            ("signal", "tid") => Ptimer::THREAD_ID,
            ("signal", _) => 0,
            ("none", _) => 1,
            ("thread", _) => 2,
            (other, _) => {
                return refuse(
                    RefusalKind::Machine,
                    format!("POSIX timer {}: notification {other:?} is unknown to this release", self.id),
                );
            }
        };
        // This number is in the freezer's pid namespace, that of a clock is in the program's.
        let thread = if notify == Ptimer::THREAD_ID { local(scene, ids, |tid, _| tid == self.number) } else { Some(0) };
        let Some(thread) = thread else {
            return refuse(
                RefusalKind::Timer,
                format!("POSIX timer {}: it signals thread {}, which has ended", self.id, self.number),
            );
        };
        let (clock, clock_thread) = self.clock(scene, ids)?;
        Ok(Ptimer {
            id: self.id,
            clock,
            clock_thread,
            notify,
            signal: self.signal,
            value: Addr(self.value),
            thread,
            ..Ptimer::default()
        })
    }

    /// The clock without a pid, and the local id of the thread whose time it is.
    fn clock(&self, scene: &Scene<'_>, ids: &[u64]) -> Result<(i32, u64)> {
        if self.clock >= 0 {
            return Ok((self.clock, 0));
        }
        let pid = !(self.clock >> 3);
        let nameless_clock = !0 << 3 | self.clock & 7;
        let refusal = |what: String| {
            refuse(RefusalKind::Timer, format!("POSIX timer {} measures {what}: it cannot be carried", self.id))
        };
        if self.clock & OF_A_THREAD == 0 {
            return if pid == 0 || scene.status.inner("NStgid") == Some(pid as u64) {
                Ok((nameless_clock, 0))
            } else {
                refusal(format!("the CPU time of another process ({pid})"))
            };
        }
        let thread = match pid {
            0 if ids.len() == 1 => ids.first().copied(),
            0 => return refusal("the CPU time of one thread, and the kernel does not say of which".to_owned()),
            tid => local(scene, ids, |_, inner| inner == Some(tid as u64)),
        };
        match thread {
            Some(thread) => Ok((nameless_clock, thread)),
            None => refusal(format!("the CPU time of thread {pid}, which has ended")),
        }
    }
}

/// Local id of the thread of which this is true: id here, and in its own pid namespace.
fn local(scene: &Scene<'_>, ids: &[u64], is: impl Fn(i32, Option<u64>) -> bool) -> Option<u64> {
    let mut all = scene.threads.iter().zip(ids);
    all.find(|(status, _)| is(status.number("Pid").unwrap_or(0) as i32, status.inner("NSpid"))).map(|(_, id)| *id)
}

#[cfg(test)]
mod tests {
    use super::{Line, blocks};

    #[test]
    fn as_the_kernel_writes_it() {
        let text = "\nID: 8\nsignal: 42/1234567890abcdef\nnotify: signal/tid.27278\nClockID: -218230\n\
                    ID: 7\nsignal: 0/0000000000000000\nnotify: none/pid.27278\nClockID: 1\n";
        let lines: Vec<Line<'_>> = blocks(text).map(|b| Line::of(b).unwrap()).collect();
        let [line, other] = &lines[..] else { panic!("{} timers", lines.len()) };
        assert_eq!((line.id, line.signal, line.value), (8, 42, 0x1234_5678_90ab_cdef));
        assert_eq!((line.how, line.whom, line.number, line.clock), ("signal", "tid", 27278, -218_230));
        assert_eq!((other.id, other.how, other.clock), (7, "none", 1));
        assert!(Line::of("8\nsignal: 42\n").is_none());
    }
}
