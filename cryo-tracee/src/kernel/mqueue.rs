//! POSIX message queues through their descriptors (mq_overview(7)).

use std::mem::size_of;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use crate::{Error, Result, fault};

/// struct mq_attr of linux/mqueue.h: eight words, of which the kernel uses four.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// mq_flags: O_NONBLOCK.
    pub flags: i64,
    /// mq_maxmsg: how many messages it takes.
    pub max_messages: i64,
    /// mq_msgsize: bytes of the longest.
    pub message_size: i64,
    /// mq_curmsgs: how many are in it.
    pub messages: i64,
    reserved: [i64; 4],
}

impl Attributes {
    /// Of a queue to be made.
    pub fn new(max_messages: i64, message_size: i64) -> Self {
        Self { max_messages, message_size, ..Self::default() }
    }

    /// As mq_open(2) reads them.
    pub fn bytes(&self) -> [u8; size_of::<Self>()] {
        let mut bytes = [0; size_of::<Self>()];
        let words = [self.flags, self.max_messages, self.message_size, self.messages];
        for (room, word) in bytes.chunks_exact_mut(8).zip(words) {
            room.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// mq_getattr(3).
pub fn attributes(queue: &OwnedFd) -> Result<Attributes> {
    let what = || "asking a message queue for its attributes".to_owned();
    fault::point().map_err(|e| Error::sys(what(), e))?;
    let mut attributes = Attributes::default();
    // SAFETY: the kernel reads nothing and writes one struct mq_attr.
    let r = unsafe {
        libc::syscall(libc::SYS_mq_getsetattr, queue.as_raw_fd(), ptr::null::<Attributes>(), &raw mut attributes)
    };
    if r < 0 { Err(Error::last(what())) } else { Ok(attributes) }
}

/// mq_receive(3) of a descriptor that does not wait: the first message and its priority; none from an empty queue. `size` is mq_msgsize.
pub fn receive(queue: &OwnedFd, size: usize) -> Result<Option<(Vec<u8>, u32)>> {
    let mut data = vec![0_u8; size];
    let mut priority = 0_u32;
    // SAFETY: the kernel writes at most `size` bytes to `data` and one word to `priority`.
    let n = unsafe {
        libc::syscall(
            libc::SYS_mq_timedreceive,
            queue.as_raw_fd(),
            data.as_mut_ptr(),
            size,
            &raw mut priority,
            ptr::null::<libc::timespec>(),
        )
    };
    if n < 0 {
        let e = Error::last("taking a message out of a queue");
        return if e.errno() == Some(libc::EAGAIN) { Ok(None) } else { Err(e) };
    }
    data.truncate(n as usize);
    Ok(Some((data, priority)))
}

/// mq_send(3).
pub fn send(queue: &OwnedFd, data: &[u8], priority: u32) -> Result<()> {
    // SAFETY: the kernel reads data.len() bytes.
    let r = unsafe {
        libc::syscall(
            libc::SYS_mq_timedsend,
            queue.as_raw_fd(),
            data.as_ptr(),
            data.len(),
            priority,
            ptr::null::<libc::timespec>(),
        )
    };
    if r < 0 { Err(Error::last("putting a message into a queue")) } else { Ok(()) }
}
