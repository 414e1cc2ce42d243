//! `AIO `: asynchronous I/O contexts (io_setup(2)).
//!
//! What is in flight is the kernel's, and cannot be carried: a context is waited for until it has none, for as long as that may take while the process stands still.

use std::time::Duration;

use cryo_format::prim::Addr;
use cryo_format::section::aio::{Aio, AioContext, AioEvent};
use cryo_tracee::proc::Mapping;
use cryo_tracee::{Memory, Remote, Stopped};

use super::{Collected, RefusalKind, Scene, refuse};
use crate::Result;

/// How long requests are waited for: those of a disk end by themselves.
const PAUSES: [u64; 6] = [1, 5, 20, 50, 100, 200];
/// Bytes of the ring's head, and of an event (fs/aio.c struct aio_ring, linux/aio_abi.h struct io_event).
const HEAD: u64 = 32;
const EVENT: u64 = 32;

/// Is this the ring of a context?
pub fn is(m: &Mapping) -> bool {
    m.path == b"/[aio] (deleted)"
}

/// The head of a ring.
struct Ring {
    nr: u32,
    head: u32,
    tail: u32,
}

impl Ring {
    fn read(memory: &Memory, m: &Mapping) -> Result<Option<Self>> {
        let mut bytes = [0; HEAD as usize];
        memory.read(m.start, &mut bytes)?;
        let word = |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        let ring = Self { nr: word(4), head: word(8), tail: word(12) };
        let known = word(16) == 0xa10a_10a1 && word(28) == HEAD as u32;
        let fits = u64::from(ring.nr) <= (m.end - m.start - HEAD) / EVENT;
        Ok(Some(ring).filter(|ring| known && fits && ring.nr > 1 && ring.head < ring.nr && ring.tail < ring.nr))
    }

    /// What is done and not yet taken.
    fn waiting(&self) -> u32 {
        (self.tail + self.nr - self.head) % self.nr
    }

    /// Slots that requests can be given (fs/aio.c ioctx_alloc): CPUs take them in batches, and what is less than a batch nobody gets.
    fn slots(&self, possible: u64) -> u64 {
        let all = u64::from(self.nr) - 1;
        all - all % (all / (possible * 4)).max(1)
    }
}

/// Adds those of a process. All its threads stand still.
pub fn collect(
    remote: &mut Remote<'_>,
    others: &mut [Stopped],
    memory: &Memory,
    scene: &Scene<'_>,
    out: &mut Collected,
) -> Result<()> {
    let mut contexts = Vec::new();
    for m in scene.maps.iter().filter(|m| is(m)) {
        let what = format!("memory {:x}-{:x} of process {}", m.start, m.end, scene.pid);
        let Some(ring) = Ring::read(memory, m)? else {
            return refuse(
                RefusalKind::Memory,
                format!(
                    "{what} is an asynchronous I/O context (io_setup) of a form that this release does not know: a newer cryo-freeze may"
                ),
            );
        };
        if remote.call(libc::SYS_io_getevents, [m.start, 0, 0, 0, 0, 0]).is_err() {
            return refuse(
                RefusalKind::Memory,
                format!(
                    "{what} is an asynchronous I/O context (io_setup) of another process, inherited by fork(2), with which this one can do nothing: it is \
                     not carried"
                ),
            );
        }
        let ring = quiet(remote, others, memory, scene, (m, ring), &what)?;
        contexts.push(AioContext {
            address: Addr(m.start),
            size: m.end - m.start,
            events: events(memory, m, &ring)?.into(),
        });
    }
    if !contexts.is_empty() {
        out.add(scene.id, Aio { contexts: contexts.into() });
    }
    Ok(())
}

/// The ring when nothing is in flight any more.
fn quiet(
    remote: &mut Remote<'_>,
    others: &mut [Stopped],
    memory: &Memory,
    scene: &Scene<'_>,
    (m, mut ring): (&Mapping, Ring),
    what: &str,
) -> Result<Ring> {
    let slots = ring.slots(cryo_tracee::sched::possible()?);
    let mut in_flight = 0;
    for pause in PAUSES {
        let free = remote.free_slots(others, m.start, ring.nr, &scene.machine.online)?;
        if let Some(now) = Ring::read(memory, m)? {
            ring = now;
        }
        // What ended meanwhile is in the ring, and has its slot still.
        in_flight = slots.saturating_sub(free + u64::from(ring.waiting()));
        if in_flight == 0 {
            return Ok(ring);
        }
        std::thread::sleep(Duration::from_millis(pause));
    }
    refuse(
        RefusalKind::Busy,
        format!(
            "{what} is an asynchronous I/O context (io_setup) with {in_flight} requests on their way, which do not end by themselves: try again when they are \
             done, or have the program do without (MariaDB: --innodb-use-native-aio=0)"
        ),
    )
}

fn events(memory: &Memory, m: &Mapping, ring: &Ring) -> Result<Vec<AioEvent>> {
    let mut all = Vec::with_capacity(ring.waiting() as usize);
    for i in 0..ring.waiting() {
        let mut bytes = [0; EVENT as usize];
        memory.read(m.start + HEAD + u64::from((ring.head + i) % ring.nr) * EVENT, &mut bytes)?;
        let word = |i: usize| u64::from_le_bytes(bytes[i..i + 8].try_into().unwrap_or_default());
        all.push(AioEvent { data: word(0), obj: Addr(word(8)), res: word(16) as i64, res2: word(24) as i64 });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::Ring;

    #[test]
    fn slots_are_counted_as_the_kernel_gives_them() {
        // As seen on Linux 6.18 with two CPUs.
        let ring = |nr, head, tail| Ring { nr, head, tail };
        assert_eq!(ring(255, 0, 0).slots(2), 248);
        assert_eq!(ring(1023, 0, 0).slots(2), 1016);
        assert_eq!(ring(127, 0, 0).slots(64), 126);
        assert_eq!(ring(255, 250, 3).waiting(), 8);
        assert_eq!(ring(255, 7, 7).waiting(), 0);
    }
}
