//! One call on its way in and out of the kernel.

use cryo_tracee::signals;
use cryo_tracee::tracees::Call;

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
pub fn enter(pids: &Pids, who: Caller, call: &Call, memory: &impl Memory) -> Enter {
    let args = call.args;
    let mut changed = args;
    let mut any = false;
    let scratch = who.stack.wrapping_sub(RED_ZONE + PATH) & !15;
    // 64-bit code may call by `int 0x80`, to which it cannot give an address of its stack.
    let place = |bytes: &[u8]| (!call.i386 || u32::try_from(scratch).is_ok()) && memory.poke(scratch, bytes);
    for row in of(call) {
        any = true;
        if let Some(result) = number(pids, who.pid, who.tid, row.place) {
            return Enter::Known(result);
        }
        match row.place {
            Place::In(arg, how) => {
                let arg = usize::from(arg);
                changed[arg] = word(args[arg], how, |pid| pids.kernel(pid));
            }
            Place::Reads(arg, size, offset) => {
                let arg = usize::from(arg);
                let mut bytes = [0; 16];
                let bytes = &mut bytes[..size];
                let whole = memory.peek(args[arg], bytes) == size;
                if whole && number_at(bytes, offset, |pid| pids.kernel(pid)) && place(bytes) {
                    changed[arg] = scratch;
                }
            }
            Place::Path(arg) => {
                let arg = usize::from(arg);
                let path = memory.peek_string(args[arg]).and_then(|path| path::to_kernel(&path, pids));
                if let Some(mut path) = path {
                    path.push(0);
                    if place(&path) {
                        changed[arg] = scratch;
                    }
                }
            }
            Place::Process
            | Place::Thread
            | Place::Result(_)
            | Place::Writes(..)
            | Place::WritesBy(..)
            | Place::Siginfo(_)
            | Place::Link(..) => {}
        }
    }
    if any { Enter::Made(changed) } else { Enter::Nothing }
}

/// The result of a call that asks for nothing but the own number, in this process and thread.
pub fn own(pids: &Pids, pid: i32, tid: i32, call: &Call) -> Option<i64> {
    of(call).find_map(|row| number(pids, pid, tid, row.place))
}

/// The own number, where this place is one.
fn number(pids: &Pids, pid: i32, tid: i32, place: Place) -> Option<i64> {
    match place {
        Place::Process => Some(pids.seen(pid).into()),
        Place::Thread => Some(pids.seen(tid).into()),
        _ => None,
    }
}

/// On the way out: what the kernel has written is translated, and the result that the program shall see is returned. `args` are the program's own.
pub fn leave(pids: &Pids, call: &Call, result: i64, memory: &impl Memory) -> i64 {
    let args = call.args;
    let mut seen = result;
    for row in of(call) {
        match row.place {
            // Of F_GETOWN a group is negative, as an error is: what is no group of the family stays as it is.
            Place::Result(how) if result > 0 || how == As::Signed => {
                seen = word(result as u64, how, |pid| pids.seen(pid)) as i32 as i64;
                if result < 0 && pids.seen(-result as i32) == -result as i32 {
                    seen = result;
                }
            }
            Place::Writes(arg, offset) if result >= 0 => at(memory, args[usize::from(arg)], offset, pids),
            Place::WritesBy(arg, nth) if result >= 0 => {
                let mut word = [0; 4];
                if memory.peek(args[usize::from(arg)] + nth * 4, &mut word) == 4 {
                    at(memory, u32::from_le_bytes(word).into(), 0, pids);
                }
            }
            Place::Siginfo(arg) if result >= 0 && args[usize::from(arg)] != 0 => {
                let mut bytes = [0; SIGINFO];
                let (head, sender) = bytes.split_at_mut(SENDER);
                let (info, behind) = (args[usize::from(arg)], if call.i386 { I386_SENDER } else { SENDER });
                let place = info + behind as u64;
                let whole =
                    memory.peek(info, &mut head[..I386_SENDER]) == I386_SENDER && memory.peek(place, sender) == 4;
                if whole && siginfo(&mut bytes, pids) {
                    memory.poke(place, &bytes[SENDER..]);
                }
            }
            Place::Link(path, buf) if result > 0 => {
                let (buf, room) = (args[usize::from(buf)], args[usize::from(buf) + 1]);
                let Some(path) = memory.peek_string(args[usize::from(path)]) else { continue };
                let mut link = vec![0; (result as usize).min(64)];
                memory.peek(buf, &mut link);
                let written = link.len();
                if let Some(mut link) = path::link_to_seen(&path, &link, pids) {
                    link.truncate(room as usize);
                    let len = link.len();
                    // Of a longer number nothing is left: who has cleared the buffer takes the first zero for the end.
                    link.resize(len.max(written), 0);
                    if memory.poke(buf, &link) {
                        seen = len as i64;
                    }
                }
            }
            _ => {}
        }
    }
    seen
}

/// Bytes of siginfo_t as far as a sender is in it, and where that is: behind three numbers, and aligned.
const SIGINFO: usize = SENDER + 4;
const SENDER: usize = 16;
const I386_SENDER: usize = 12;

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

    fn call(number: u32, args: &[i64]) -> Call {
        let mut all = [0; 6];
        all.iter_mut().zip(args).for_each(|(word, arg)| *word = *arg as u64);
        Call { i386: false, number, args: all, result: true }
    }

    fn i386(number: u32, args: &[i64]) -> Call {
        Call { i386: true, ..call(number, args) }
    }

    fn made(call: Call, page: &Page) -> [i64; 6] {
        match enter(&pids(), WHO, &call, page) {
            Enter::Made(args) => args.map(|arg| arg as i64),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_in_arguments_and_results() {
        let page = Page::new(AT, &[]);
        let (getpid, gettid, write) = (39, 186, 1);
        assert_eq!(enter(&pids(), WHO, &call(getpid, &[]), &page), Enter::Known(100));
        assert_eq!(enter(&pids(), WHO, &call(gettid, &[]), &page), Enter::Known(101));
        assert_eq!(enter(&pids(), WHO, &call(write, &[100]), &page), Enter::Nothing);
        let kill = 62;
        for (to, wanted) in [(100, 7), (-102, -9), (0, 0), (-1, -1), (5000, 5000)] {
            assert_eq!(made(call(kill, &[to, 15]), &page)[..2], [wanted, 15], "kill {to}");
        }
        let (wait4, waitid) = (61, 247);
        assert_eq!(leave(&pids(), &call(wait4, &[-1]), 9, &page), 102);
        assert_eq!(leave(&pids(), &call(wait4, &[-1]), -10, &page), -10);
        // P_ALL, P_PID, P_PIDFD: only of the second the argument is a pid.
        for (which, wanted) in [(0, 102), (1, 9), (3, 102)] {
            assert_eq!(made(call(waitid, &[which, 102]), &page)[1], wanted, "waitid {which}");
        }
        let (fcntl, getown) = (72, 9);
        for (result, wanted) in [(7, 100), (-9, -102), (-22, -22), (0, 0)] {
            assert_eq!(leave(&pids(), &call(fcntl, &[3, getown]), result, &page), wanted, "{result}");
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
        assert_eq!(leave(&pids(), &call(ioctl, &[0, tiocgpgrp, AT as i64]), 0, &page), 0);
        assert_eq!(page.number(AT), 102);
        // What failed has written nothing.
        let page = Page::new(AT, &9_i32.to_le_bytes());
        leave(&pids(), &call(ioctl, &[0, tiocgpgrp, AT as i64]), -25, &page);
        assert_eq!(page.number(AT), 9);
        let (fcntl, getlk) = (72, 5);
        let page = Page::new(AT + 24, &9_i32.to_le_bytes());
        leave(&pids(), &call(fcntl, &[0, getlk, AT as i64]), 0, &page);
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
    fn calls_of_32_bit_code() {
        let page = Page::new(AT, &[]);
        let (getpid, kill, waitpid, fcntl64, socketcall) = (20, 37, 7, 221, 102);
        assert_eq!(enter(&pids(), WHO, &i386(getpid, &[]), &page), Enter::Known(100));
        // The number of getpid(2) is that of writev(2) there.
        assert_eq!(enter(&pids(), WHO, &call(getpid, &[]), &page), Enter::Nothing);
        assert_eq!(made(i386(kill, &[0xffff_ff9a, 15]), &page)[..2], [-9, 15], "kill -102");
        assert_eq!(leave(&pids(), &i386(waitpid, &[-1]), 9, &page), 102);
        for (command, offset) in [(5, 12), (12, 20), (36, 20)] {
            let page = Page::new(AT + offset, &9_i32.to_le_bytes());
            leave(&pids(), &i386(fcntl64, &[0, command, AT as i64]), 0, &page);
            assert_eq!(page.number(AT + offset), 102, "fcntl64 {command}");
        }
        // getsockopt(3, SOL_SOCKET, SO_PEERCRED, at, len)
        let who = AT + 64;
        let words: Vec<u8> = [3_u32, 1, 17, who as u32, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
        let page = Page::new(AT, &words);
        page.poke(who, &9_i32.to_le_bytes());
        leave(&pids(), &i386(socketcall, &[15, AT as i64]), 0, &page);
        assert_eq!(page.number(who), 102);
        // siginfo_t: its sender is not aligned to a word of 64 bits.
        let (waitid, p_all) = (284, 0);
        let words: Vec<u8> = [libc::SIGCHLD, 0, 1, 9].iter().flat_map(|word| word.to_le_bytes()).collect();
        let page = Page::new(AT, &words);
        leave(&pids(), &i386(waitid, &[p_all, 0, AT as i64]), 0, &page);
        assert_eq!((page.number(AT + 12), page.number(AT + 16)), (102, 0));
        // 64-bit code that calls by `int 0x80`: its stack is beyond what that can name.
        let path = Page::new(AT, b"/proc/100/stat\0");
        let far = Caller { stack: 1 << 40, ..WHO };
        let open = i386(5, &[AT as i64]);
        assert_eq!(enter(&pids(), far, &open, &path), Enter::Made(open.args));
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
        assert_eq!(leave(&pids(), &call(readlink, &[AT as i64, buf as i64, 2]), 1, &page), 2);
        assert_eq!(page.peek_string(buf).unwrap(), b"10");
    }
}
