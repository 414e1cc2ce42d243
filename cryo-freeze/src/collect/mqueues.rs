//! `MQUE`: POSIX message queues.

use std::os::unix::fs::MetadataExt;

use cryo_format::section::mqueues::{Message, Mqueue};
use cryo_tracee::{magic, mqueue};
use rustix::fs::{Mode, OFlags};

use super::description::{Cx, Description, Fd};
use super::{RefusalKind, Scene, refuse};
use crate::Result;
use crate::error::About;

/// What the file of a queue says about it has this size, whatever is in the queue (ipc/mqueue.c).
const FILENT_SIZE: u64 = 80;

/// Is it one?
pub fn is(scene: &Scene<'_>, f: &Fd) -> bool {
    f.meta.is_file()
        && f.meta.len() == FILENT_SIZE
        && f.info.flags() & libc::O_PATH as u64 == 0
        && rustix::fs::statfs(way_in(scene, f)).is_ok_and(|s| s.f_type == magic::MQUEUE)
}

fn way_in(scene: &Scene<'_>, f: &Fd) -> String {
    format!("/proc/{}/fd/{}", scene.live_tid, f.fd)
}

/// Adds it.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if !is(cx.of(f), f) {
        return Ok(false);
    }
    // mq_open(3) shows `/name`, open(2) where the queues' file system is mounted `/dev/mqueue/name`.
    let bare = f.link.strip_suffix(b" (deleted)").unwrap_or(&f.link);
    let name = bare.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let attributes = mqueue::attributes(&cx.take(f)?)?;
    let unlinked = f.meta.nlink() == 0;
    notified(cx, f)?;
    let waiting = attributes.messages as u64;
    let messages =
        if unlinked && waiting > 0 { messages(cx, f, attributes.message_size as usize)? } else { Vec::new() };
    if !unlinked && waiting > 0 {
        cx.out
            .note(f.name(), format!("{waiting} messages wait in it: they stay in the queue, and are not in the image"));
    }
    cx.out.add(
        d.id,
        Mqueue {
            name: [b"/", name].concat().into(),
            open_flags: f.open_flags(),
            ino: f.meta.ino(),
            max_messages: attributes.max_messages as u64,
            message_size: attributes.message_size as u64,
            waiting,
            mode: f.meta.mode() & 0o7777,
            unlinked: unlinked.into(),
            messages: messages.into(),
        },
    );
    Ok(true)
}

/// Refuses one that tells the process of a message (mq_notify(3)): with which value, nobody can ask.
fn notified(cx: &Cx<'_>, f: &Fd) -> Result<()> {
    // `QSIZE:0          NOTIFY:0     SIGNO:10    NOTIFY_PID:4242  `; who may only write cannot read it, and then we may not either.
    let status = std::fs::read_to_string(way_in(cx.of(f), f)).unwrap_or_default();
    let pid = status.split_whitespace().find_map(|w| w.strip_prefix("NOTIFY_PID:")?.parse::<i32>().ok());
    if cx.scenes.iter().any(|s| pid == Some(s.pid)) {
        return refuse(
            RefusalKind::Ipc,
            format!(
                "{}: the program is to be told of a message in it (mq_notify), with a value that nobody can ask for: use --fd {}=null|FILE",
                f.name(),
                f.fd
            ),
        );
    }
    Ok(())
}

/// What waits in a queue without a name. There is no look at a message: all are taken out and put back at once, in their order. Nobody else has the
/// queue (see [`super::shared`]) or can open it, and the process stands still.
fn messages(cx: &Cx<'_>, f: &Fd, size: usize) -> Result<Vec<Message>> {
    let about = || format!("looking into {}", f.name());
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let queue = rustix::fs::open(way_in(cx.of(f), f), flags, Mode::empty()).about(about)?;
    let mut taken = Vec::new();
    let mut outcome = Ok(());
    loop {
        match mqueue::receive(&queue, size) {
            Ok(Some((data, priority))) => taken.push(Message { priority, data: data.into() }),
            Ok(None) => break,
            Err(e) => {
                outcome = Err(e);
                break;
            }
        }
    }
    for message in &taken {
        let put = mqueue::send(&queue, &message.data, message.priority);
        outcome = outcome.and(put);
    }
    outcome?;
    Ok(taken)
}
