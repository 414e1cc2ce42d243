//! `SEMU`: SysV semaphores that the process held. The end of the original gave them back; they are taken again, with SEM_UNDO.

use cryo_format::section::semundo::{Adjustment, SemUndo};
use cryo_tracee::Host;

use crate::Result;
use crate::error::{About, RefusalKind, reason, refuse};

/// Takes all of them, or says which one is somebody else's by now.
pub fn restore(host: &mut Host, undo: &SemUndo) -> Result<()> {
    for a in &undo.adjustments {
        let name = format!("SysV semaphore {} of set {} (key {:#x})", a.number, a.semid, a.key);
        if !is_here(a)? {
            return refuse(
                RefusalKind::Ipc,
                format!(
                    "{name}: the program held it (SEM_UNDO), and the set is not here: semaphores do not outlast a restart of the machine"
                ),
            );
        }
        let (Ok(number), Ok(change)) = (u16::try_from(a.number), i16::try_from(-a.adjust)) else {
            return refuse(RefusalKind::Ipc, format!("{name}: semop(2) cannot change it by {}", -a.adjust));
        };
        // struct sembuf.
        let flags = (libc::SEM_UNDO | libc::IPC_NOWAIT) as i16;
        let op = [number.to_le_bytes(), change.to_le_bytes(), flags.to_le_bytes()].concat();
        let mut batch = host.batch()?;
        let at = batch.put(&op);
        let call = batch.call(libc::SYS_semop, &[a.semid.into(), at.addr, 1]);
        match host.run(batch)?.result(call) {
            Ok(_) => {}
            Err(e) if e.errno() == Some(libc::EAGAIN) => {
                return refuse(
                    RefusalKind::Ipc,
                    format!(
                        "{name}: the program held it, and somebody else does now: end who it is (ipcs -s -i {}), or wait",
                        a.semid
                    ),
                );
            }
            Err(e) => return refuse(RefusalKind::Ipc, format!("{name}: taking it again: {e}", e = reason(&e))),
        }
    }
    Ok(())
}

/// Is the set there, with this key? (/proc/sysvipc/sem)
fn is_here(a: &Adjustment) -> Result<bool> {
    let path = "/proc/sysvipc/sem";
    let text = std::fs::read_to_string(path).about(|| format!("reading {path}"))?;
    Ok(text.lines().skip(1).any(|line| {
        let mut columns = line.split_whitespace();
        let key = columns.next().and_then(|c| c.parse::<i64>().ok()).map(|key| key as u32);
        (key, columns.next().and_then(|c| c.parse().ok())) == (Some(a.key), Some(a.semid))
    }))
}
