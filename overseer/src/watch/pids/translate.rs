//! One call on its way in and out of the kernel.

use cryo_tracee::signals;

use super::table::{As, Place, of};
use super::{Pids, path};

/// The memory of the one who makes the call.
pub trait Memory {
    /// Bytes of it, as many as are there.
    fn peek(&self, at: u64, buf: &mut [u8]) -> usize;
    /// A string in it.
    fn peek_string(&self, at: u64) -> Option<Vec<u8>>;
    /// Writes all of it, or says no.
    fn poke(&self, at: u64, bytes: &[u8]) -> bool;
}

/// Who makes a call: its thread and process by the kernel's numbers, and where its stack ends.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Its thread.
    pub tid: i32,
    /// Its process.
    pub pid: i32,
    /// Its stack pointer.
    pub stack: u64,
}

/// What becomes of a call before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enter {
    /// No pid is in it.
    Nothing,
    /// It need not be made: this is its result.
    Known(i64),
    /// It is made with these arguments, and looked at when it has a result ([`leave`]).
    Made([u64; 6]),
}

/// linux/audit.h and the ABI of x86-64: what is below the stack pointer and still in use.
const RED_ZONE: u64 = 128;

/// Room of a path: PATH_MAX, and longer numbers.
const PATH: u64 = 4096 + 64;

/// On the way in.
pub fn enter(pids: &Pids, who: Caller, (number, args): (u32, [u64; 6]), memory: &impl Memory) -> Enter {
    let mut changed = args;
    let mut any = false;
    let scratch = who.stack.wrapping_sub(RED_ZONE + PATH) & !15;
    for row in of(number, args) {
        any = true;
        match row.place {
            Place::Process => return Enter::Known(pids.seen(who.pid).into()),
            Place::Thread => return Enter::Known(pids.seen(who.tid).into()),
            Place::In(arg, how) => {
                let arg = usize::from(arg);
                changed[arg] = word(args[arg], how, |pid| pids.kernel(pid));
            }
            Place::Reads(arg, size, offset) => {
                let arg = usize::from(arg);
                let mut bytes = [0; 16];
                let bytes = &mut bytes[..size];
                let whole = memory.peek(args[arg], bytes) == size;
                if whole && number_at(bytes, offset, |pid| pids.kernel(pid)) && memory.poke(scratch, bytes) {
                    changed[arg] = scratch;
                }
            }
            Place::Path(arg) => {
                let arg = usize::from(arg);
                let path = memory.peek_string(args[arg]).and_then(|path| path::to_kernel(&path, pids));
                if let Some(mut path) = path {
                    path.push(0);
                    if memory.poke(scratch, &path) {
                        changed[arg] = scratch;
                    }
                }
            }
            Place::Result(_) | Place::Writes(..) | Place::Siginfo(_) | Place::Link(..) => {}
        }
    }
    if any { Enter::Made(changed) } else { Enter::Nothing }
}

/// On the way out: what the kernel has written is translated, and the result that the program shall see is returned. `args` are the program's own.
pub fn leave(pids: &Pids, (number, args): (u32, [u64; 6]), result: i64, memory: &impl Memory) -> i64 {
    let mut seen = result;
    for row in of(number, args) {
        match row.place {
            // Of F_GETOWN a group is negative, as an error is: what is no group of the family stays as it is.
            Place::Result(how) if result > 0 || how == As::Signed => {
                seen = word(result as u64, how, |pid| pids.seen(pid)) as i32 as i64;
                if result < 0 && pids.seen(-result as i32) == -result as i32 {
                    seen = result;
                }
            }
            Place::Writes(arg, offset) if result >= 0 => at(memory, args[usize::from(arg)], offset, pids),
            Place::Siginfo(arg) if result >= 0 => {
                let info = args[usize::from(arg)];
                let mut bytes = [0; SIGINFO];
                if info != 0 && memory.peek(info, &mut bytes) == SIGINFO && siginfo(&mut bytes, pids) {
                    memory.poke(info, &bytes);
                }
            }
            Place::Link(path, buf) if result > 0 => {
                let (buf, room) = (args[usize::from(buf)], args[usize::from(buf) + 1]);
                let Some(path) = memory.peek_string(args[usize::from(path)]) else { continue };
                let mut link = vec![0; (result as usize).min(64)];
                memory.peek(buf, &mut link);
                if let Some(mut link) = path::link_to_seen(&path, &link, pids) {
                    link.truncate(room as usize);
                    if memory.poke(buf, &link) {
                        seen = link.len() as i64;
                    }
                }
            }
            _ => {}
        }
    }
    seen
}

/// Bytes of siginfo_t as far as a sender is in it.
pub const SIGINFO: usize = 20;

/// Translates the sender of a signal; false if none is in it, or stays the same.
pub fn siginfo(info: &mut [u8], pids: &Pids) -> bool {
    signals::sender(info).is_some_and(|sender| number_at(sender, 0, |pid| pids.seen(pid)))
}

fn at(memory: &impl Memory, base: u64, offset: u64, pids: &Pids) {
    let mut bytes = [0; 4];
    let at = base.wrapping_add(offset);
    if base != 0 && memory.peek(at, &mut bytes) == 4 && number_at(&mut bytes, 0, |pid| pids.seen(pid)) {
        memory.poke(at, &bytes);
    }
}

/// Translates the number at this offset; false if it stays the same. A group may be negative there.
fn number_at(bytes: &mut [u8], offset: usize, by: impl Fn(i32) -> i32) -> bool {
    let Some(place) = bytes.get_mut(offset..offset + 4) else { return false };
    let number = i32::from_le_bytes([place[0], place[1], place[2], place[3]]);
    let other = word(number as u32 as u64, As::Signed, by) as i32;
    place.copy_from_slice(&other.to_le_bytes());
    other != number
}

/// A number in a register.
fn word(word: u64, how: As, by: impl Fn(i32) -> i32) -> u64 {
    let number = word as i32;
    match number {
        1.. => by(number) as u64,
        ..-1 if how == As::Signed && number > i32::MIN => i64::from(-by(-number)) as u64,
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A page at 0x1000.
    struct Page(RefCell<Vec<u8>>);

    const AT: u64 = 0x1000;
    const LEN: usize = 0x4000;

    impl Page {
        fn new(at: u64, bytes: &[u8]) -> Self {
            let page = Self(RefCell::new(vec![0; LEN]));
            assert!(page.poke(at, bytes));
            page
        }

        fn number(&self, at: u64) -> i32 {
            let mut bytes = [0; 4];
            assert_eq!(self.peek(at, &mut bytes), 4);
            i32::from_le_bytes(bytes)
        }
    }

    impl Memory for Page {
        fn peek(&self, at: u64, buf: &mut [u8]) -> usize {
            let page = self.0.borrow();
            let Some(from) = at.checked_sub(AT).and_then(|at| page.get(at as usize..)) else { return 0 };
            let n = from.len().min(buf.len());
            buf[..n].copy_from_slice(&from[..n]);
            n
        }

        fn peek_string(&self, at: u64) -> Option<Vec<u8>> {
            let page = self.0.borrow();
            let from = page.get(at.checked_sub(AT)? as usize..)?;
            Some(from.split(|b| *b == 0).next()?.to_vec())
        }

        fn poke(&self, at: u64, bytes: &[u8]) -> bool {
            let mut page = self.0.borrow_mut();
            let Some(at) = at.checked_sub(AT).map(|at| at as usize) else { return false };
            page.get_mut(at..at + bytes.len()).map(|place| place.copy_from_slice(bytes)).is_some()
        }
    }

    const WHO: Caller = Caller { tid: 8, pid: 7, stack: AT + LEN as u64 };

    fn pids() -> Pids {
        Pids::of([(100, 7), (101, 8), (102, 9)])
    }

    fn call(number: u32, args: &[i64]) -> (u32, [u64; 6]) {
        let mut all = [0; 6];
        all.iter_mut().zip(args).for_each(|(word, arg)| *word = *arg as u64);
        (number, all)
    }

    fn made(call: (u32, [u64; 6]), page: &Page) -> [i64; 6] {
        match enter(&pids(), WHO, call, page) {
            Enter::Made(args) => args.map(|arg| arg as i64),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_in_arguments_and_results() {
        let page = Page::new(AT, &[]);
        let (getpid, gettid, write) = (39, 186, 1);
        assert_eq!(enter(&pids(), WHO, call(getpid, &[]), &page), Enter::Known(100));
        assert_eq!(enter(&pids(), WHO, call(gettid, &[]), &page), Enter::Known(101));
        assert_eq!(enter(&pids(), WHO, call(write, &[100]), &page), Enter::Nothing);
        let kill = 62;
        for (to, wanted) in [(100, 7), (-102, -9), (0, 0), (-1, -1), (5000, 5000)] {
            assert_eq!(made(call(kill, &[to, 15]), &page)[..2], [wanted, 15], "kill {to}");
        }
        let (wait4, waitid) = (61, 247);
        assert_eq!(leave(&pids(), call(wait4, &[-1]), 9, &page), 102);
        assert_eq!(leave(&pids(), call(wait4, &[-1]), -10, &page), -10);
        // P_ALL, P_PID, P_PIDFD: only of the second the argument is a pid.
        for (which, wanted) in [(0, 102), (1, 9), (3, 102)] {
            assert_eq!(made(call(waitid, &[which, 102]), &page)[1], wanted, "waitid {which}");
        }
        let (fcntl, getown) = (72, 9);
        for (result, wanted) in [(7, 100), (-9, -102), (-22, -22), (0, 0)] {
            assert_eq!(leave(&pids(), call(fcntl, &[3, getown]), result, &page), wanted, "{result}");
        }
    }

    #[test]
    fn numbers_in_memory() {
        let (ioctl, tiocspgrp, tiocgpgrp) = (16, 0x5410, 0x540f);
        let page = Page::new(AT, &102_i32.to_le_bytes());
        let args = made(call(ioctl, &[0, tiocspgrp, AT as i64]), &page);
        // What the program has in memory stays as it is.
        assert_eq!((page.number(AT), page.number(args[2] as u64)), (102, 9));
        let page = Page::new(AT, &9_i32.to_le_bytes());
        assert_eq!(leave(&pids(), call(ioctl, &[0, tiocgpgrp, AT as i64]), 0, &page), 0);
        assert_eq!(page.number(AT), 102);
        // What failed has written nothing.
        let page = Page::new(AT, &9_i32.to_le_bytes());
        leave(&pids(), call(ioctl, &[0, tiocgpgrp, AT as i64]), -25, &page);
        assert_eq!(page.number(AT), 9);
        let (fcntl, getlk) = (72, 5);
        let page = Page::new(AT + 24, &9_i32.to_le_bytes());
        leave(&pids(), call(fcntl, &[0, getlk, AT as i64]), 0, &page);
        assert_eq!(page.number(AT + 24), 102);
    }

    #[test]
    fn senders_of_signals() {
        for (signal, code, wanted) in [
            (libc::SIGTERM, 0, 102),
            (libc::SIGCHLD, 1, 102),
            (libc::SIGTERM, -6, 102),
            (libc::SIGTERM, -1, 9),
            (libc::SIGSEGV, 1, 9),
        ] {
            let mut info = [0; SIGINFO];
            info[..4].copy_from_slice(&signal.to_le_bytes());
            info[8..12].copy_from_slice(&i32::to_le_bytes(code));
            info[16..].copy_from_slice(&9_i32.to_le_bytes());
            assert_eq!(siginfo(&mut info, &pids()), wanted == 102, "{signal} {code}");
            assert_eq!(info[16..], i32::to_le_bytes(wanted), "{signal} {code}");
        }
    }

    #[test]
    fn paths() {
        let (open, readlink) = (2, 89);
        let page = Page::new(AT, b"/proc/100/stat\0");
        let args = made(call(open, &[AT as i64]), &page);
        assert_eq!(page.peek_string(args[0] as u64).unwrap(), b"/proc/7/stat");
        assert_eq!(page.peek_string(AT).unwrap(), b"/proc/100/stat");
        let page = Page::new(AT, b"/proc/self\0");
        let buf = AT + 64;
        page.poke(buf, b"7");
        assert_eq!(leave(&pids(), call(readlink, &[AT as i64, buf as i64, 2]), 1, &page), 2);
        assert_eq!(page.peek_string(buf).unwrap(), b"10");
    }
}
