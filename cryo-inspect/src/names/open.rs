//! open(2) flags and st_mode, as Linux numbers them on x86.

use super::bits;

/// Kernels set O_LARGEFILE (0o100000) by themselves on 64-bit systems: it says nothing.
const SILENT: u64 = 0o100_000;

const FLAGS: &[(u64, &str)] = &[
    (0o20_200_000, "O_TMPFILE"),
    (0o4_010_000, "O_SYNC"),
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1000, "O_TRUNC"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (0o10_000, "O_DSYNC"),
    (0o20_000, "O_ASYNC"),
    (0o40_000, "O_DIRECT"),
    (0o200_000, "O_DIRECTORY"),
    (0o400_000, "O_NOFOLLOW"),
    (0o1_000_000, "O_NOATIME"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o10_000_000, "O_PATH"),
];

/// `O_RDWR|O_APPEND`.
pub fn open_flags(flags: u64) -> String {
    let access = ["O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"][(flags & 3) as usize];
    let rest = flags & !3 & !SILENT;
    if rest == 0 { access.to_owned() } else { format!("{access}|{}", bits(rest, FLAGS, "|")) }
}

/// `regular file`, ...
pub fn file_type(mode: u32) -> &'static str {
    match mode >> 12 {
        0o14 => "socket",
        0o12 => "symbolic link",
        0o10 => "regular file",
        0o6 => "block device",
        0o4 => "directory",
        0o2 => "character device",
        0o1 => "FIFO",
        _ => "file",
    }
}

/// `-rw-r--r--`, as ls(1) shows it.
pub fn mode(mode: u32) -> String {
    let kind = match mode >> 12 {
        0o14 => 's',
        0o12 => 'l',
        0o10 => '-',
        0o6 => 'b',
        0o4 => 'd',
        0o2 => 'c',
        0o1 => 'p',
        _ => '?',
    };
    let mut text = String::from(kind);
    for (shift, special, mark) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let part = mode >> shift;
        text.push(if part & 4 != 0 { 'r' } else { '-' });
        text.push(if part & 2 != 0 { 'w' } else { '-' });
        text.push(match (part & 1 != 0, mode & special != 0) {
            (false, false) => '-',
            (true, false) => 'x',
            (true, true) => mark,
            (false, true) => mark.to_ascii_uppercase(),
        });
    }
    text
}

/// `major:minor` of a device number as stat(2) gives it.
pub fn device(dev: u64) -> String {
    let major = (dev >> 8 & 0xfff) | (dev >> 32 & !0xfff);
    let minor = (dev & 0xff) | (dev >> 12 & !0xff);
    format!("{major}:{}", minor & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_manual_says() {
        assert_eq!(open_flags(0o102_001), "O_WRONLY|O_APPEND");
        assert_eq!(open_flags(0o20_200_002), "O_RDWR|O_TMPFILE");
        assert_eq!(open_flags(1 << 40), "O_RDONLY|0x10000000000");
        assert_eq!(mode(0o104_755), "-rwsr-xr-x");
        assert_eq!(mode(0o041_777), "drwxrwxrwt");
        assert_eq!(device(0x103), "1:3");
        assert_eq!(device(0x0010_3001), "48:257");
    }
}
