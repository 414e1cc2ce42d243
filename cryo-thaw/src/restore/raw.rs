//! `RAWS`: raw sockets. They share with those of `INET` how they are bound and what they join.

use cryo_format::section::inet::Inet;
use cryo_format::section::raw::RawSocket;
use cryo_tracee::{Host, sockets as socket};

use super::table::Table;
use super::{inet, inet_socket, sockets};
use crate::Result;
use crate::error::{RefusalKind, refuse};

/// Makes it.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(s) = table.section::<RawSocket>(id) else { return Ok(None) };
    let common = Inet {
        family: s.family,
        kind: libc::SOCK_RAW as u32,
        protocol: s.protocol,
        local: s.local,
        shutdown: s.shutdown,
        options: s.options.clone(),
        groups: s.groups.clone(),
        ..Inet::default()
    };
    sockets::may_make(fd)?;
    let made = inet_socket::make(host, table, id, &common)?;
    if !s.local.ip(s.family).is_unspecified() {
        inet_socket::bind(&made, false)?;
    }
    inet::join(&made)?;
    if s.connected != 0
        && let Err(e) = socket::connect(&made.ours, &s.remote.sockaddr(s.family))
    {
        let remote = s.remote.ip(s.family);
        return refuse(
            RefusalKind::Socket,
            format!("fd {fd}: connecting it to {remote}: {e}: use --fd {fd}=null|FILE"),
        );
    }
    if s.shutdown != 0 {
        inet::shut(&made)?;
    }
    sockets::late(&table.options.notes, &made.ours, fd, &s.options, &s.filter, s.open_flags)?;
    Ok(Some(made.at))
}
