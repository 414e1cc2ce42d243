//! Sets that keep every rule one can see at once, and are absurd: address spaces of a hundred terabytes that a dozen children inherit, a thousand descriptors of
//! one description that says a thousand things, files without an end. Whoever does for each what can be done once needs days for them.

use cryo_format::Kind;
use cryo_format::prim::Addr;
use cryo_format::section::descriptors::{Descriptor, Descriptors};
use cryo_format::section::epoll::{Epoll, Watch};
use cryo_format::section::forked::{Forked, ForkedRange};
use cryo_format::section::objects::{Object, ObjectKind, Objects};
use cryo_format::section::process::Process;
use cryo_format::section::thread::Thread;
use cryo_format::section::vmas::{Backing, Vma, Vmas};

use crate::random::Random;
use crate::set::Set;

/// Local ids that no recorded set has.
const FIRST: u64 = 1_000_000;

/// Of a seed, with a family put to it; or the seed's bytes, if it is no set.
pub fn absurd(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut set = Set::read(seed);
    let end = 1 << (20 + random.below(27));
    let (children, descriptors) = (1 + random.below(12) as u64, random.below(1000) as u32);
    let vma = |start: u64, end: u64, backing, object| Vma {
        start: Addr(start),
        end: Addr(end),
        prot: 3,
        backing,
        object,
        ..Vma::default()
    };
    let (file, epoll) = (FIRST + 500, FIRST + 501);
    let endless = Object {
        id: file,
        kind: ObjectKind::MEMFD,
        embedded: 1,
        path: b"endless".to_vec().into(),
        size: 1 << (12 + random.below(50)),
        ..Object::default()
    };
    // Beside those that are there: of this kind there is one section.
    let _ = set.edit(|o: &mut Objects| o.objects.0.push(endless));
    for i in 0..=children {
        let owner = FIRST + i;
        let pid = 70_000 + i;
        let process = Process { pid, ppid: pid.saturating_sub(1 + random.below(2) as u64), ..Process::default() };
        set.push(owner, &process);
        set.push(owner + 100, &Thread { process: owner, tid: pid, ..Thread::default() });
        let mut vmas = vec![vma(0x1000, end, Backing::ANONYMOUS, 0)];
        if random.once_in(2) {
            vmas.push(vma(end, end + (1 << 46), Backing::SHARED, file));
        }
        set.push(owner, &Vmas { vmas: vmas.into() });
        let all = (0..descriptors).map(|fd| Descriptor { fd, flags: 0, description: epoll });
        set.push(owner, &Descriptors { descriptors: all.collect::<Vec<_>>().into() });
        if i > 0 {
            // Of the one before it, or of itself.
            let parent = owner - 1 + u64::from(random.once_in(8));
            let ranges = vec![ForkedRange { start: Addr(0x1000), end: Addr(end) }];
            set.push(owner, &Forked { parent, ranges: ranges.into() });
        }
    }
    let watch = |fd| Watch { fd, events: 1, data: Addr(fd.into()), ..Watch::default() };
    set.push(epoll, &Epoll { watches: (0..descriptors).map(watch).collect::<Vec<_>>().into(), ..Epoll::default() });
    // Its processes come after what they have.
    for set_file in &mut set.files {
        set_file.chunks.sort_by_key(|chunk| chunk.kind != Kind(*b"OBJS"));
    }
    set.bytes()
}
