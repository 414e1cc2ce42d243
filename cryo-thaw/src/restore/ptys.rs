//! `PTTY`, `PTYE`: pseudo-terminals whose master is inside.

use cryo_format::section::ptys::{Pty, PtyEnd, PtyFlags};
use cryo_tracee::Host;

use super::open::{self, set_flags};
use super::table::Table;
use crate::Result;
use crate::error::{RefusalKind, reason, refuse};
use crate::notes::Notes;

/// ioctl_tty(2).
const TCSETS2: u64 = 0x402c_542b;
const TIOCEXCL: u64 = 0x540c;
const TIOCSWINSZ: u64 = 0x5414;
const TIOCPKT: u64 = 0x5420;
const TIOCGPTN: u64 = 0x8004_5430;
const TIOCSPTLCK: u64 = 0x4004_5431;
const TIOCGPTPEER: u64 = 0x5441;
/// Length of c_cc.
const CONTROLS: usize = 19;

/// Makes one end, and the pseudo-terminal with its first end.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(end) = table.section::<PtyEnd>(id) else { return Ok(None) };
    let master = master(host, table, fd, end.pty)?;
    let made = if end.master != 0 { table.duplicate(host, master)? } else { peer(host, master, end.open_flags.0)? };
    set_flags(host, made, end.open_flags.0)?;
    Ok(Some(made))
}

/// The master of pseudo-terminal `id`, where it is parked; made if it is not there yet.
pub fn master(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<u64> {
    let Some(pty) = table.section::<Pty>(id) else {
        return refuse(
            RefusalKind::Image,
            format!("fd {fd}: it is an end of pseudo-terminal {id}, which is not in the image"),
        );
    };
    if let Some(master) = table.parked(id, 0) {
        return Ok(master);
    }
    let made = make(host, &table.options.notes, fd, pty)?;
    table.keep(host, id, 0, made)
}

/// Opens the end that is not the master.
pub fn peer(host: &mut Host, master: u64, open_flags: u64) -> Result<u64> {
    // Here the kernel keeps all flags as they are given; O_LARGEFILE, which open(2) sets by itself, too.
    const O_LARGEFILE: i32 = 0o100_000;
    let flags = open_flags as i32 & (libc::O_ACCMODE | O_LARGEFILE) | libc::O_NOCTTY;
    Ok(host.call(libc::SYS_ioctl, [master, TIOCGPTPEER, flags as u64, 0, 0, 0])?)
}

fn make(host: &mut Host, notes: &Notes, fd: u32, pty: &Pty) -> Result<u64> {
    let master = match open::open(host, b"/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC)? {
        Ok(master) => master,
        Err(e) => {
            return refuse(
                RefusalKind::Terminal,
                format!("fd {fd}: a new pseudo-terminal: {e}: use --fd {fd}=FILE|null", e = reason(&e)),
            );
        }
    };
    // struct termios2.
    let set = &pty.settings;
    let mut termios: Vec<u8> =
        [set.iflag, set.oflag, set.cflag, set.lflag].map(|f| (f.0 as u32).to_le_bytes()).concat();
    termios.push(set.line as u8);
    let mut controls = set.controls.to_vec();
    controls.resize(CONTROLS, 0);
    termios.extend(controls);
    termios.extend([set.ispeed, set.ospeed].map(u32::to_le_bytes).concat());
    let window = [set.rows, set.columns, set.xpixel, set.ypixel].map(|n| (n as u16).to_le_bytes()).concat();

    let mut batch = host.batch()?;
    let no = batch.put(&0_u32.to_le_bytes());
    let yes = batch.put(&1_u32.to_le_bytes());
    let (termios, window, number) = (batch.put(&termios), batch.put(&window), batch.space(4));
    let mut ioctl = |request, argument| batch.call(libc::SYS_ioctl, &[master, request, argument]);
    ioctl(TIOCSPTLCK, no.addr);
    ioctl(TIOCGPTN, number.addr);
    ioctl(TCSETS2, termios.addr);
    ioctl(TIOCSWINSZ, window.addr);
    if pty.flags & PtyFlags::PACKET != 0 {
        ioctl(TIOCPKT, yes.addr);
    }
    let done = host.run(batch)?;
    done.all()?;
    let number = done.bytes(number).try_into().map_or(0, u32::from_le_bytes);
    if number != pty.number {
        notes.add(format!("fd {fd}: its pseudo-terminal was /dev/pts/{} and is /dev/pts/{number} now", pty.number));
    }
    if pty.flags & PtyFlags::HUNG_UP != 0 {
        let other = peer(host, master, libc::O_RDWR as u64)?;
        host.call(libc::SYS_close, [other, 0, 0, 0, 0, 0])?;
    }
    Ok(master)
}

/// What would have been in the way.
pub fn late(host: &mut Host, table: &Table<'_>) -> Result<()> {
    for (id, end) in table.all::<PtyEnd>() {
        let (Some(fd), Some(pty)) = (table.number(id), table.section::<Pty>(end.pty)) else { continue };
        let master = end.master != 0;
        let mut batch = host.batch()?;
        let yes = batch.put(&1_u32.to_le_bytes());
        if end.exclusive != 0 || master && pty.flags & PtyFlags::EXCLUSIVE != 0 {
            batch.call(libc::SYS_ioctl, &[fd.into(), TIOCEXCL, 0]);
        }
        if master && pty.flags & PtyFlags::LOCKED != 0 {
            batch.call(libc::SYS_ioctl, &[fd.into(), TIOCSPTLCK, yes.addr]);
        }
        host.run(batch)?.all()?;
    }
    Ok(())
}
