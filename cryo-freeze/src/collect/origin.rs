//! `ORIG`: where and when.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cryo_format::section::origin::Origin;

use super::Collected;

/// Adds the origin. The process has stood still since `stopped`.
pub fn collect(stopped: Instant, out: &mut Collected) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let uname = rustix::system::uname();
    let mut kernel = uname.sysname().to_bytes().to_vec();
    for part in [uname.release(), uname.version()] {
        kernel.push(b' ');
        kernel.extend_from_slice(part.to_bytes());
    }
    out.add(
        0,
        Origin {
            time_sec: now.as_secs() as i64,
            time_nsec: u64::from(now.subsec_nanos()),
            tool: concat!("cryo-freeze ", env!("CARGO_PKG_VERSION")).into(),
            host: uname.nodename().to_bytes().to_vec().into(),
            kernel: kernel.into(),
            stopped_ns: stopped.elapsed().as_nanos() as u64,
        },
    );
}
