//! File systems by their numbers (linux/magic.h; statfs(2), f_type).

/// procfs.
pub const PROC: i64 = 0x9fa0;
/// mqueue, in which POSIX message queues are.
pub const MQUEUE: i64 = 0x1980_0202;

/// Of those that make up their files as they are looked at: procfs, sysfs, debugfs, tracefs, cgroup, cgroup2. Their inodes tell nothing, what is read
/// is no content that could be copied, and what a path means there is what it was.
pub fn is_made_up(f_type: i64) -> bool {
    matches!(f_type, PROC | 0x6265_6572 | 0x6462_6720 | 0x7472_6163 | 0x0027_e0eb | 0x6367_7270)
}
