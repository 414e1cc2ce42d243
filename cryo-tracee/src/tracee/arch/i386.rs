//! i386, as a kernel of x86-64 runs it.

use std::arch::asm;
use std::io;
use std::ptr;

use super::{Regs, Times, Usual};

/// ELF's number for it.
pub const EM: u16 = 3;
/// The segment of 32-bit code (__USER32_CS, arch/x86/include/asm/segment.h).
pub const CS: u64 = 0x23;
/// Those of stack and data (__USER_DS).
pub const DS: u64 = 0x2b;
/// The end of the address space (IA32_PAGE_OFFSET, asm/page_64_types.h).
pub const USER_END: u64 = 0xffff_e000;
/// The same under personality(2) ADDR_LIMIT_3GB.
pub const USER_END_3GB: u64 = 0xc000_0000;
/// A flag of personality(2).
pub const ADDR_LIMIT_3GB: u64 = 0x800_0000;
/// `int 0x80`.
pub const INT80: [u8; 2] = [0xcd, 0x80];
/// restart_syscall(2).
pub const RESTART_SYSCALL: i64 = 0;
/// The segments of thread-local storage in the GDT of a 64-bit kernel (GDT_ENTRY_TLS_MIN, asm/segment.h); their selectors are 8 times that and 3.
pub const TLS: std::ops::Range<u32> = 12..15;

/// Calls of i386 that are made by `int 0x80`, because what they set is kept for each interface apart (asm/unistd_32.h).
pub mod nr {
    /// rt_sigaction(2): a handler is called as the call was made that set it.
    pub const RT_SIGACTION: i64 = 174;
    /// io_setup(2): it maps a ring where the interface of the call is at home.
    pub const IO_SETUP: i64 = 245;
    /// set_robust_list(2).
    pub const SET_ROBUST_LIST: i64 = 311;
    pub(super) const GET_ROBUST_LIST: i64 = 312;
    pub(super) const IPC: i64 = 117;
    pub(super) const SOCKETCALL: i64 = 102;
}

/// The calls that matter when they are interrupted: number here, number there, layout of times.
const CALLS: [(i64, i64, Times); 26] = [
    (RESTART_SYSCALL, libc::SYS_restart_syscall, Times::Short),
    (3, libc::SYS_read, Times::Short),
    (4, libc::SYS_write, Times::Short),
    (162, libc::SYS_nanosleep, Times::Short),
    (168, libc::SYS_poll, Times::Short),
    (177, libc::SYS_rt_sigtimedwait, Times::Short),
    (240, libc::SYS_futex, Times::Short),
    (247, libc::SYS_io_getevents, Times::Short),
    (256, libc::SYS_epoll_wait, Times::Short),
    (267, libc::SYS_clock_nanosleep, Times::Short),
    (319, libc::SYS_epoll_pwait, Times::Short),
    (362, libc::SYS_connect, Times::Short),
    (364, libc::SYS_accept4, Times::Short),
    (369, libc::SYS_sendto, Times::Short),
    (370, libc::SYS_sendmsg, Times::Short),
    (371, libc::SYS_recvfrom, Times::Short),
    (372, libc::SYS_recvmsg, Times::Short),
    (407, libc::SYS_clock_nanosleep, Times::Long),
    (420, libc::SYS_semtimedop, Times::Long),
    (421, libc::SYS_rt_sigtimedwait, Times::Long),
    (422, libc::SYS_futex, Times::Long),
    (441, libc::SYS_epoll_pwait2, Times::Long),
    // With them the kernel writes what is left of a time where it stood, and so a second look is not needed.
    (308, libc::SYS_pselect6, Times::Short),
    (309, libc::SYS_ppoll, Times::Short),
    (413, libc::SYS_pselect6, Times::Long),
    (414, libc::SYS_ppoll, Times::Long),
];

/// socketcall(2): the calls that it stands for (linux/net.h).
const SOCKET_CALLS: [(u64, i64); 9] = [
    (3, libc::SYS_connect),
    (5, libc::SYS_accept),
    (9, libc::SYS_sendto),
    (10, libc::SYS_recvfrom),
    (11, libc::SYS_sendto),
    (12, libc::SYS_recvfrom),
    (16, libc::SYS_sendmsg),
    (17, libc::SYS_recvmsg),
    (18, libc::SYS_accept4),
];

pub(super) fn args(r: &Regs) -> [u64; 6] {
    [r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp].map(|arg| arg & 0xffff_ffff)
}

pub(super) fn arg_mut(r: &mut Regs, i: usize) -> &mut u64 {
    match i {
        0 => &mut r.rbx,
        1 => &mut r.rcx,
        2 => &mut r.rdx,
        3 => &mut r.rsi,
        4 => &mut r.rdi,
        _ => &mut r.rbp,
    }
}

pub(super) fn usual(number: i64, args: [u64; 6]) -> Usual {
    const SEMOP: u64 = 1;
    const SEMTIMEDOP: u64 = 4;
    let places = [0, 1, 2, 3, 4, 5];
    let other = Usual { number: -1, args, times: Times::Short, places };
    // ipc(call, first, second, third, ptr, fifth), of which the upper half of `call` is a version (ipc/syscall.c).
    if number == nr::IPC {
        let number = match args[0] & 0xffff {
            SEMOP => libc::SYS_semop,
            SEMTIMEDOP => libc::SYS_semtimedop,
            _ => return other,
        };
        let places = [1, 4, 2, 5, 0, 3];
        return Usual { number, args: places.map(|i| args[i]), times: Times::Short, places };
    }
    if number == nr::SOCKETCALL {
        return SOCKET_CALLS
            .iter()
            .find(|(call, _)| *call == args[0])
            .map_or(other, |(_, number)| Usual { number: *number, ..other });
    }
    let known = CALLS.iter().find(|(own, ..)| *own == number);
    known.map_or(other, |(_, number, times)| Usual { number: *number, args, times: *times, places })
}

/// A call of ours, made as a 32-bit program makes it. The kernel takes the lower halves of the arguments.
fn call(number: i64, a: [u64; 3]) -> io::Result<u64> {
    let mut rax = number;
    // SAFETY: `int 0x80` changes rax only, and what the call is documented to write; rbx belongs to the compiler and is put back.
    unsafe {
        asm!(
            "xchg rbx, {b}",
            "int 0x80",
            "xchg rbx, {b}",
            b = inout(reg) a[0] => _,
            inout("rax") rax,
            in("rcx") a[1],
            in("rdx") a[2],
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    if (-4095..0).contains(&rax) { Err(io::Error::from_raw_os_error(-rax as i32)) } else { Ok(rax as u64) }
}

pub(super) fn robust_list(tid: i32) -> io::Result<(u64, u64)> {
    const LEN: usize = 4096;
    // The answer has to be where 32 bits lead.
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT);
    // SAFETY: new memory of our own, in which the kernel writes two words of 32 bits, and which goes away again.
    unsafe {
        let at = libc::mmap(ptr::null_mut(), LEN, prot, flags, -1, 0);
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let words = at.cast::<u32>();
        let done = call(nr::GET_ROBUST_LIST, [tid as u64, words as u64, words.add(1) as u64]);
        let answer = (words.read().into(), words.add(1).read().into());
        libc::munmap(at, LEN);
        done.map(|_| answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_by_other_numbers() {
        let args = [7, 1, 2, 3, 4, 5];
        assert_eq!(usual(162, args).number, libc::SYS_nanosleep);
        assert_eq!((usual(422, args).number, usual(422, args).times), (libc::SYS_futex, Times::Long));
        let ipc = usual(nr::IPC, [4, 10, 20, 0, 40, 50]);
        assert_eq!((ipc.number, ipc.args[..4].to_vec()), (libc::SYS_semtimedop, vec![10, 40, 20, 50]));
        assert_eq!(usual(nr::SOCKETCALL, [5, 0, 0, 0, 0, 0]).number, libc::SYS_accept);
        assert_eq!(usual(1, args).number, -1);
    }

    #[test]
    fn a_call_of_32_bits() {
        let pid = call(20, [0; 3]).expect("getpid of i386");
        assert_eq!(pid, u64::from(std::process::id()));
        assert_eq!(call(3, [u64::MAX, 0, 0]).expect_err("no such descriptor").raw_os_error(), Some(libc::EBADF));
    }
}
