//! Who else has a pipe or a socket open: a look at the descriptors of every process that we may look at.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use cryo_tracee::proc::Status;

/// Pipes, FIFOs and sockets that other processes have open.
pub struct OtherHolders(HashMap<Vec<u8>, i32>);

impl OtherHolders {
    /// Looks, past the process itself and us.
    pub fn look(pid: i32) -> Self {
        let ours = std::process::id() as i32;
        let mut held = HashMap::new();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        for other in processes.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok()) {
            // What we trace is a copy of the process, made for us.
            let copy = || Status::of(other).is_ok_and(|s| s.number("TracerPid") == Some(ours as u64));
            if other == pid || other == ours || copy() {
                continue;
            }
            for fd in fs::read_dir(format!("/proc/{other}/fd")).into_iter().flatten().flatten() {
                if let Ok(link) = fs::read_link(fd.path()) {
                    let link = link.into_os_string().into_vec();
                    if link.starts_with(b"pipe:") || link.starts_with(b"socket:") || link.starts_with(b"/") {
                        held.insert(link, other);
                    }
                }
            }
        }
        Self(held)
    }

    /// A process that has it open, by name.
    pub fn holder(&self, link: &[u8]) -> Option<String> {
        let pid = self.0.get(link)?;
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Some(format!("process {pid} ({})", comm.trim()))
    }
}
