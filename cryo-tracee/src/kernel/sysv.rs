//! SysV shared memory that was made for a host. The kernel keeps it when the host is gone, so somebody must remove it.

/// A segment that is removed when this is dropped, unless it is [kept](Self::keep).
pub struct Segment(i32);

impl Segment {
    /// The one with this id, which nobody else uses yet.
    pub fn new(id: i32) -> Self {
        Self(id)
    }

    /// From now on it is the program's.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: IPC_RMID takes no buffer. Memory that is attached stays until it is detached.
        unsafe { libc::shmctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}
