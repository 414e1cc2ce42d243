//! Sockets, terminals and a pipe of the example.

use std::net::IpAddr;

use cryo_format::prim::{Addr, Raw};
use cryo_format::section::descriptors::Descriptor;
use cryo_format::section::inet::{Inet, InetMessage, Kept, Membership, State as InetState};
use cryo_format::section::netlink::Netlink;
use cryo_format::section::packet::{PacketMembership, PacketSocket};
use cryo_format::section::pipes::{Pipe, PipeEnd};
use cryo_format::section::ptys::{Pty, PtyEnd, PtyFlags};
use cryo_format::section::raw::RawSocket;
use cryo_format::section::terminal::{Settings, Terminal};
use cryo_format::section::unix::{State as UnixState, Unix, UnixMessage};
use cryo_format::socket::{InetAddress, SocketOption};
use cryo_format::write::Writer;

const STREAM: u32 = 1;
const DGRAM: u32 = 2;
const TCP: u32 = 6;
const NONBLOCK: Addr = Addr(0o4002);

/// Descriptions 30 to 46, at descriptors 30 to 46, and 92 and 93.
pub fn descriptors() -> impl Iterator<Item = Descriptor> {
    (30..=46).chain(92..=93).map(|number| Descriptor { fd: number, flags: 0, description: number.into() })
}

fn address(ip: &str, port: u32) -> InetAddress {
    let mut address = [0; 16];
    match ip.parse().unwrap() {
        IpAddr::V4(ip) => address[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => address.copy_from_slice(&ip.octets()),
    }
    InetAddress { port, address: Raw(address), ..InetAddress::default() }
}

fn option(level: u32, name: u32, value: &[u8]) -> SocketOption {
    SocketOption { level, name, value: value.to_vec().into() }
}

/// Writes all of them.
pub fn write(w: &mut Writer<Vec<u8>>) {
    unix(w);
    tcp(w);
    let udp = Inet {
        family: 10,
        kind: DGRAM,
        protocol: 17,
        open_flags: Addr(2),
        local: address("::", 5353),
        options: vec![option(1, 29, &1_i32.to_le_bytes())].into(),
        filter: vec![0; 24].into(),
        queue: ["question", "answer"]
            .map(|text| InetMessage { sender: address("fe80::1", 5353), data: text.as_bytes().to_vec().into() })
            .to_vec()
            .into(),
        groups: vec![Membership { family: 10, interface: 2, group: address("ff02::fb", 0) }].into(),
        ..Inet::default()
    };
    w.section(40, &udp).unwrap();
    let route = Netlink { kind: 3, open_flags: NONBLOCK, port: 4242, groups: vec![1, 5].into(), ..Netlink::default() };
    w.section(41, &route).unwrap();
    w.section(42, &Netlink { kind: DGRAM, protocol: 2, remote_port: 77, ..Netlink::default() }).unwrap();
    raw(w);
    terminals(w);
    w.section(45, &PipeEnd { pipe: 48, open_flags: Addr(0) }).unwrap();
    w.section(46, &PipeEnd { pipe: 48, open_flags: Addr(1) }).unwrap();
    w.section(48, &Pipe { capacity: 65_536, content: vec![b"on its way\n".to_vec().into()].into(), ..Pipe::default() })
        .unwrap();
}

fn raw(w: &mut Writer<Vec<u8>>) {
    let ping = RawSocket {
        family: 2,
        protocol: 1,
        open_flags: Addr(2),
        local: address("0.0.0.0", 0),
        remote: address("192.0.2.1", 0),
        connected: 1,
        ..RawSocket::default()
    };
    w.section(92, &ping).unwrap();
    let membership = PacketMembership {
        interface: 2,
        kind: 1,
        count: 1,
        interface_name: "eth0".into(),
        ..PacketMembership::default()
    };
    let sniffer = PacketSocket {
        kind: 3,
        protocol: 3,
        open_flags: NONBLOCK,
        interface: 2,
        interface_name: "eth0".into(),
        memberships: vec![membership].into(),
        ..PacketSocket::default()
    };
    w.section(93, &sniffer).unwrap();
}

fn unix(w: &mut Writer<Vec<u8>>) {
    let message = |sender: &[u8], text: &str| UnixMessage {
        sender: sender.to_vec().into(),
        data: text.as_bytes().to_vec().into(),
    };
    let listener = Unix {
        kind: STREAM,
        state: UnixState::LISTENING,
        open_flags: NONBLOCK,
        name: b"/run/example.sock".to_vec().into(),
        mode: 0o140_660,
        backlog: 128,
        ..Unix::default()
    };
    w.section(30, &listener).unwrap();
    let end = |peer| Unix {
        kind: STREAM,
        state: UnixState::CONNECTED,
        open_flags: Addr(2),
        options: vec![option(1, 7, &425_984_i32.to_le_bytes())].into(),
        peer,
        ..Unix::default()
    };
    w.section(31, &Unix { shutdown: 2, ..end(32) }).unwrap();
    w.section(32, &Unix { queue: vec![message(b"", "half a request")].into(), ..end(31) }).unwrap();
    let left = Unix {
        kind: DGRAM,
        state: UnixState::ALONE,
        open_flags: Addr(2),
        name: b"\0example\n".to_vec().into(),
        error: 104,
        queue: vec![message(b"\0a", "one"), message(b"", "two")].into(),
        ..Unix::default()
    };
    w.section(33, &left).unwrap();
}

fn tcp(w: &mut Writer<Vec<u8>>) {
    let listener = Inet {
        family: 2,
        kind: STREAM,
        protocol: TCP,
        state: InetState::LISTENING,
        open_flags: NONBLOCK,
        local: address("0.0.0.0", 8080),
        backlog: 511,
        options: vec![option(1, 2, &1_i32.to_le_bytes())].into(),
        ..Inet::default()
    };
    let connection = |state, peer, local, remote| Inet {
        state,
        peer,
        local: address("127.0.0.1", local),
        remote: address("127.0.0.1", remote),
        backlog: 0,
        options: Vec::new().into(),
        ..listener.clone()
    };
    let queue = |text: &str| vec![InetMessage { data: text.as_bytes().to_vec().into(), ..InetMessage::default() }];
    w.section(34, &listener).unwrap();
    let client = connection(InetState::CONNECTED, 36, 40_000, 8080);
    w.section(35, &Inet { queue: queue("an answer").into(), ..client }).unwrap();
    w.section(36, &connection(InetState::CONNECTED, 35, 8080, 40_000)).unwrap();
    w.section(37, &connection(InetState::WAITING, 34, 40_001, 8080)).unwrap();
    let kept = Kept {
        send_seq: 1_000_020,
        receive_seq: 2_000_000,
        not_sent: 8,
        mss: 1448,
        options: 7,
        send_scale: 7,
        receive_scale: 9,
        sent: vec![0; 20].into(),
        door: b"cryo-keeper-0123456789abcdef".to_vec().into(),
        ..Kept::default()
    };
    let kept = Inet {
        family: 10,
        local: address("2001:db8::2", 40_002),
        remote: address("2001:db8::1", 443),
        options: vec![option(TCP, 13, b"bbr\0\0\0\0\0\0\0\0\0\0\0\0\0"), option(TCP, 1, &1_i32.to_le_bytes())].into(),
        queue: queue("more").into(),
        kept: vec![kept].into(),
        ..connection(InetState::KEPT, 0, 0, 0)
    };
    w.section(38, &kept).unwrap();
    w.section(39, &connection(InetState::RESET, 0, 40_003, 5432)).unwrap();
}

/// A terminal of its own, both ends, and the one it runs on.
fn terminals(w: &mut Writer<Vec<u8>>) {
    w.section(43, &PtyEnd { pty: 47, open_flags: NONBLOCK, master: 1, exclusive: 0 }).unwrap();
    w.section(44, &PtyEnd { pty: 47, open_flags: Addr(2), master: 0, exclusive: 1 }).unwrap();
    let settings = Settings {
        iflag: Addr(0o42_400),
        oflag: Addr(0o5),
        cflag: Addr(0o277),
        lflag: Addr(0o105_073),
        ispeed: 38_400,
        ospeed: 38_400,
        rows: 24,
        columns: 80,
        controls: b"\x03\x1c\x7f\x15\x04\0\x01\0\x11\x13\x1a\0\x12\x0f\x17\x16\0\0\0".to_vec().into(),
        ..Settings::default()
    };
    let other = Settings { rows: 33, columns: 101, ..settings.clone() };
    w.section(47, &Pty { number: 9, flags: PtyFlags::PACKET, settings: other }).unwrap();
    let terminal = Terminal { foreground: 1, reserved: 0, settings };
    w.section(1, &terminal).unwrap();
}
