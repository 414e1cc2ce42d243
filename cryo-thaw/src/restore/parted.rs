//! Threads that leave what the threads of a process share: its directory, root and umask (`FS  `), its table of descriptors (`FDTT`).

use cryo_format::section::descriptors::ThreadDescriptors;
use cryo_format::section::fs::Fs;
use cryo_format::section::thread::Thread;
use cryo_tracee::Host;

use crate::Result;
use crate::error::{Doing, RefusalKind, refuse};
use crate::ice::Ice;

/// The place of the thread that makes the one of this local id, among the process's `threads`: the main one, or that with which it shares.
pub fn maker(ice: &Ice, id: u64, threads: &[(u64, Thread)]) -> Result<usize> {
    let directory = ice.get::<Fs>(id).map(|own| own.shared_with);
    let table = ice.get::<ThreadDescriptors>(id).map(|own| own.shared_with);
    let Some(maker) = [directory, table].into_iter().flatten().find(|other| *other != 0) else { return Ok(0) };
    // What it does not leave again it has from there.
    let whose = |has: Option<u64>, id: u64| has.map_or(0, |other| if other == 0 { id } else { other });
    let from_maker = |has: Option<u64>, makers: Option<u64>| has == Some(0) || whose(has, id) == whose(makers, maker);
    let fits = from_maker(directory, ice.get::<Fs>(maker).map(|own| own.shared_with))
        && from_maker(table, ice.get::<ThreadDescriptors>(maker).map(|own| own.shared_with));
    let before = threads.iter().take_while(|(thread, _)| *thread != id).position(|(thread, _)| *thread == maker);
    match before {
        Some(i) if fits => Ok(i),
        _ => refuse(
            RefusalKind::Image,
            format!("thread {id} shares with thread {maker}, which is not before it, or not alone what it shares"),
        ),
    }
}

/// Parts thread `i` from what the process has, when it has just been made.
pub fn part(host: &mut Host, ice: &Ice, i: usize, id: u64) -> Result<()> {
    let own = |has: Option<u64>, flag: i32| if has == Some(0) { flag as u64 } else { 0 };
    let flags = own(ice.get::<Fs>(id).map(|own| own.shared_with), libc::CLONE_FS)
        | own(ice.get::<ThreadDescriptors>(id).map(|own| own.shared_with), libc::CLONE_FILES);
    if flags == 0 {
        return Ok(());
    }
    let parted = host.remote_at(i)?.call(libc::SYS_unshare, [flags, 0, 0, 0, 0, 0]);
    parted.doing(|| "parting a thread from what its process shares".into()).map(drop)
}
