//! `MQUE`: POSIX message queues.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use cryo_format::section::mqueues::Mqueue;
use cryo_tracee::mqueue::Attributes;
use cryo_tracee::{Host, mqueue};
use rustix::fs::{Mode, fchmod};

use super::open::{self, set_flags};
use super::table::Table;
use crate::Result;
use crate::error::{About, RefusalKind, reason, refuse};

/// Under which role the queue itself is parked, by its inode, for further descriptions of it.
const QUEUE: u8 = 200;

/// Opens it by its name, or makes one that has no name.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(queue) = table.section::<Mqueue>(id) else { return Ok(None) };
    let access = queue.open_flags.0 as i32 & libc::O_ACCMODE | libc::O_CLOEXEC;
    let opened = if queue.unlinked != 0 {
        let parked = match table.parked(queue.ino, QUEUE) {
            Some(parked) => parked,
            None => {
                let made = without_name(host, table, fd, queue)?;
                table.keep(host, queue.ino, QUEUE, made)?
            }
        };
        open::reopen(host, parked, access)?
    } else {
        by_name(host, table, fd, queue, access)?
    };
    set_flags(host, opened, queue.open_flags.0)?;
    Ok(Some(opened))
}

/// mq_open(2) in the host. The kernel wants the name without its slash.
fn open(host: &mut Host, name: &[u8], flags: i32, queue: &Mqueue) -> Result<cryo_tracee::Result<u64>> {
    let attributes = Attributes::new(queue.max_messages as i64, queue.message_size as i64);
    let mut batch = host.batch()?;
    let name = batch.put(&[name, b"\0"].concat());
    let attributes = batch.put(&attributes.bytes());
    let call = batch.call(libc::SYS_mq_open, &[name.addr, flags as u64, 0o600, attributes.addr]);
    Ok(host.run(batch)?.result(call))
}

fn by_name(host: &mut Host, table: &Table<'_>, fd: u32, queue: &Mqueue, access: i32) -> Result<u64> {
    let way = format!("use --fd {fd}=null|FILE");
    let name = queue.name.strip_prefix(b"/").unwrap_or(&queue.name);
    let opened = match open(host, name, access, queue)? {
        Ok(opened) => opened,
        Err(e) if e.errno() == Some(libc::ENOENT) && queue.waiting == 0 => {
            let made = made(fd, queue, open(host, name, access | libc::O_CREAT | libc::O_EXCL, queue)?)?;
            fchmod(table.take(made)?, Mode::from_raw_mode(queue.mode))
                .about(|| format!("fd {fd}: setting its mode"))?;
            table.options.notes.add(format!(
                "fd {fd}: the message queue {} was not here: it is made anew, empty as it was",
                queue.name
            ));
            return Ok(made);
        }
        Err(e) if e.errno() == Some(libc::ENOENT) => {
            return refuse(
                RefusalKind::Ipc,
                format!(
                    "fd {fd}: the message queue {} is not here, and {} messages waited in it that it kept itself: {way}",
                    queue.name, queue.waiting
                ),
            );
        }
        Err(e) => {
            return refuse(
                RefusalKind::Ipc,
                format!("fd {fd}: the message queue {}: {e}: {way}", queue.name, e = reason(&e)),
            );
        }
    };
    let ours = table.take(opened)?;
    let now = mqueue::attributes(&ours)?;
    let ino = std::fs::File::from(ours).metadata().about(|| format!("looking at fd {fd}"))?.ino();
    let alike = (now.max_messages as u64, now.message_size as u64) == (queue.max_messages, queue.message_size);
    if ino != queue.ino && (queue.waiting > 0 || !alike) {
        return refuse(
            RefusalKind::Ipc,
            format!("fd {fd}: {} is another message queue than it was: {way}", queue.name),
        );
    }
    Ok(opened)
}

/// One whose name is gone: made under a name of the moment, with its messages.
fn without_name(host: &mut Host, table: &Table<'_>, fd: u32, queue: &Mqueue) -> Result<u64> {
    let name = format!("cryo-{}-{fd}", host.pid());
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let opened = made(fd, queue, open(host, name.as_bytes(), flags, queue)?)?;
    let mut batch = host.batch()?;
    let at = batch.put(&[name.as_bytes(), b"\0"].concat());
    batch.call(libc::SYS_mq_unlink, &[at.addr]);
    host.run(batch)?.all()?;
    let ours = table.take(opened)?;
    for message in &queue.messages {
        mqueue::send(&ours, &message.data, message.priority)?;
    }
    fchmod(ours.as_fd(), Mode::from_raw_mode(queue.mode | 0o600)).about(|| format!("fd {fd}: setting its mode"))?;
    Ok(opened)
}

fn made(fd: u32, queue: &Mqueue, opened: cryo_tracee::Result<u64>) -> Result<u64> {
    opened.or_else(|e| {
        let limits = "/proc/sys/fs/mqueue and `ulimit -q` may be in the way";
        refuse(
            RefusalKind::Ipc,
            format!(
                "fd {fd}: making the message queue {}: {e}: {limits}, or use --fd {fd}=null|FILE",
                queue.name,
                e = reason(&e)
            ),
        )
    })
}
