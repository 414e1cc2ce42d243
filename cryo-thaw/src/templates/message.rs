//! What a template's holder is asked, in one message: a letter, what it shall be like, and with a copy the descriptors that it may inherit, by their numbers.
//! The answer to a request for a copy are events as the init of a namespace tells them ([`cryo_tracee::namespace`]), to the others a text up to its end.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use crate::Result;
use crate::error::{About, RefusalKind, refuse};
use crate::restore::courier::MOST;

/// What a copy is to be like.
#[derive(Clone, Copy)]
pub struct How {
    /// It does not run yet.
    pub stopped: bool,
    /// Nobody waits for it.
    pub detach: bool,
    /// Its last process is waited for.
    pub to_the_last: bool,
}

/// What can be asked.
pub enum Request {
    /// A copy.
    Copy {
        /// What it is to be like.
        how: How,
        /// What the caller has open, by the numbers there.
        lent: Vec<(u32, OwnedFd)>,
    },
    /// What it is: see [`super::caller::About`].
    About,
    /// That it ends.
    End,
}

/// Sends it.
pub fn send(to: &UnixStream, request: &Request) -> Result<()> {
    let none = Vec::new();
    let (letter, flags, lent) = match request {
        Request::Copy { how, lent } => {
            (b'C', u8::from(how.stopped) | u8::from(how.detach) << 1 | u8::from(how.to_the_last) << 2, lent)
        }
        Request::About => (b'A', 0, &none),
        Request::End => (b'E', 0, &none),
    };
    if lent.len() > MOST {
        return refuse(
            RefusalKind::Descriptor,
            format!("{} descriptors are open here, a template is given at most {MOST}: close some", lent.len()),
        );
    }
    let mut bytes = vec![letter, flags];
    bytes.extend(lent.iter().flat_map(|(number, _)| number.to_le_bytes()));
    let fds: Vec<BorrowedFd<'_>> = lent.iter().map(|(_, fd)| fd.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&fds));
    }
    sendmsg(to, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL).about(|| "asking a template".into())?;
    Ok(())
}

/// Takes one. `None` if it is none that is known.
pub fn receive(from: &UnixStream) -> Result<Option<Request>> {
    let mut bytes = [0; 2 + 4 * MOST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(from, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)
        .about(|| "hearing what a template is asked".into())?;
    let fds: Vec<OwnedFd> = control
        .drain()
        .filter_map(|message| if let RecvAncillaryMessage::ScmRights(fds) = message { Some(fds) } else { None })
        .flatten()
        .collect();
    let Some(([letter, flags], numbers)) = bytes[..got.bytes].split_first_chunk() else { return Ok(None) };
    let numbers = numbers.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    let lent: Vec<(u32, OwnedFd)> = numbers.zip(fds).collect();
    Ok(match letter {
        b'C' => {
            let how = How { stopped: flags & 1 != 0, detach: flags & 2 != 0, to_the_last: flags & 4 != 0 };
            Some(Request::Copy { how, lent })
        }
        b'A' => Some(Request::About),
        b'E' => Some(Request::End),
        _ => None,
    })
}
