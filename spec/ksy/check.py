#!/usr/bin/env python3
"""Reads Cryo files by spec/cryo.ksy, and compares every field with what cryo-inspect prints.

    setup.sh DIR                                   compiles cryo.ksy and fetches what it needs
    PYTHONPATH=DIR/python check.py FILE...         ... against `cryo-inspect dump --format json - <FILE`
    PYTHONPATH=DIR/python check.py --json FILE...  ... against FILE.json
    PYTHONPATH=DIR/python check.py --verdict FILE...   only says whether each file is read or refused, and why

A file that one of the two refuses the other must refuse. Exit status: 0 they agree, 1 they do not, 2 something else went wrong.
"""

import argparse
import json
import os
import subprocess
import sys
from itertools import pairwise

import crc32c
import zstandard
from blake3 import blake3
from cryo import Cryo
from kaitaistruct import KaitaiStruct, KaitaiStructError

CRITICAL, SAFE_TO_COPY, ZSTD = 1, 2, 0x100
# Kind: (profile, flags). The registry of spec/06-registry.md, written a second time.
SECTIONS = {
    "CPU ": ("frore", CRITICAL), "OBJS": ("frore", CRITICAL), "MM  ": ("frore", CRITICAL), "VMAS": ("frore", CRITICAL),
    "GARD": ("frore", CRITICAL), "MBND": ("frore", CRITICAL), "MPOL": ("frost", CRITICAL), "FS  ": ("frost", CRITICAL), "FDTT": ("frost", CRITICAL), "AIO ": ("frost", CRITICAL),
    "FMLY": ("frost", CRITICAL), "FORK": ("freeze", CRITICAL), "PRNT": ("freeze", CRITICAL), "TCHD": ("freeze", SAFE_TO_COPY),
    "PROC": ("frost", CRITICAL), "THRD": ("frost", CRITICAL), "SIGA": ("frost", CRITICAL), "SIGP": ("frost", CRITICAL),
    "FDTB": ("frost", CRITICAL), "FILE": ("frost", CRITICAL), "OUTS": ("frost", CRITICAL), "NOTE": ("frost", SAFE_TO_COPY), "HIST": ("frost", SAFE_TO_COPY),
    "INET": ("frost", CRITICAL),
    "NTLK": ("frost", CRITICAL), "RAWS": ("frost", CRITICAL), "PCKT": ("frost", CRITICAL),
    "UNIX": ("frost", CRITICAL), "ANCL": ("frost", CRITICAL), "PEER": ("frost", SAFE_TO_COPY),
    "ORIG": ("frost", SAFE_TO_COPY), "LINK": ("freeze", CRITICAL), "RX64": ("freeze", CRITICAL), "RI32": ("freeze", CRITICAL),
    "XSTA": ("freeze", CRITICAL), "TLSE": ("freeze", CRITICAL), "SYSC": ("freeze", CRITICAL), "SI32": ("freeze", CRITICAL), "EXTS": ("freeze", CRITICAL),
    "LDT ": ("frost", CRITICAL), "LIMT": ("frost", CRITICAL), "CLKS": ("frost", CRITICAL), "ITIM": ("frost", CRITICAL), "PTIM": ("frost", CRITICAL), "CRED": ("frost", CRITICAL),
    "SECC": ("frost", CRITICAL), "SCHD": ("frost", CRITICAL),
    "PIPE": ("frost", CRITICAL),
    "PEND": ("frost", CRITICAL),
    "EVFD": ("frost", CRITICAL),
    "ATTR": ("frore", CRITICAL), "MQUE": ("frost", CRITICAL), "RMVD": ("frost", CRITICAL), "SEMU": ("frost", CRITICAL), "UNRD": ("frost", CRITICAL),
    "SGFD": ("frost", CRITICAL),
    "TMFD": ("frost", CRITICAL),
    "PIDF": ("frost", CRITICAL), "PIDD": ("frost", CRITICAL),
    "EPOL": ("frost", CRITICAL),
    "INOT": ("frost", CRITICAL),
    "FANO": ("frost", CRITICAL),
    "LOCK": ("frost", CRITICAL),
    "OWNR": ("frost", CRITICAL),
    "PTTY": ("frost", CRITICAL),
    "PTYE": ("frost", CRITICAL),
    "SESS": ("frost", CRITICAL), "CTTY": ("frost", CRITICAL),
    "TERM": ("frost", CRITICAL),
    "DATA": (None, CRITICAL), "PAD ": (None, 0), "INDX": (None, 0), "END ": (None, CRITICAL),
}  # fmt: skip
# Kinds that have more versions than the first.
VERSIONS = {"OBJS": (1, 2), "MM  ": (1, 2), "PROC": (1, 2), "THRD": (1, 2), "PIPE": (1, 2), "LOCK": (1, 2), "EPOL": (1, 2)}
STRUCTURAL = ("DATA", "PAD ", "INDX", "END ")


class Refused(Exception):
    """The file breaks a rule."""


def need(holds, rule, what):
    if not holds:
        raise Refused(f"rule {rule}: {what}")


def ascending(values):
    return all(a < b for a, b in pairwise(values))


def read(path):
    """The parsed file, and the offset of each chunk. Everything that a reader checks is checked."""
    with open(path, "rb") as f:
        raw = f.read()
    try:
        cryo = Cryo.from_bytes(raw)
    except (KaitaiStructError, EOFError, ValueError) as e:
        raise Refused(f"cryo.ksy: {e}") from e
    need(crc32c.crc32c(raw[:60]) == cryo.header.crc, 2, "checksum of the header")
    page = 1 << cryo.header.page_shift
    root = blake3(raw[:64])
    at, offsets, last_index, ends, announced = 64, [], 0, {}, None
    for i, c in enumerate(cryo.chunks):
        name = f"chunk {c.kind} at {at:#x}"
        offsets.append(at)
        head, payload = raw[at : at + 48], raw[at + 48 : at + 48 + c.stored]
        need(crc32c.crc32c(head[:44]) == c.header_crc, 10, f"{name}: checksum of its header")
        need(crc32c.crc32c(payload) == c.crc, 12, f"{name}: checksum of its payload")
        need(not any(c.padding), 13, f"{name}: padding")
        admit(c, cryo.header, name)
        need(not isinstance(c.payload, KaitaiStruct) or c.payload._io.is_eof(), 30, f"{name}: bytes left over")
        if c.kind == "PAD ":
            need(not any(payload), 25, f"{name}: not zero")
        elif c.kind == "DATA":
            need(announced == (c.owner, c.raw), 44, f"{name}: not announced")
            if c.flags & ZSTD:
                decompress(payload, c.raw, name)
            else:
                need((at + 48) % page == 0, 47, f"{name}: not at a page boundary")
            announced = None
        else:
            need(announced is None, 44, f"{name}: stands where DATA should be")
        if c.kind not in ("PAD ", "INDX", "END "):
            root.update(head)
            if c.kind != "DATA":
                root.update(payload)
        if c.kind == "INDX":
            last_index = at
        if c.kind == "END ":
            need(c.payload.chunks == i, 20, f"{name}: counts {c.payload.chunks}, not {i}")
            need(c.payload.root == root.digest(), 21, f"{name}: root")
            need(cryo.footer.end == at, 22, "footer: place of END")
        elif isinstance(c.payload, KaitaiStruct) and c.kind in RULES:
            RULES[c.kind](c.payload)
        if c.kind == "EXTS" and c.version == 1:
            announced = extents(c, page, ends)
        at += 48 + c.stored + len(c.padding)
    need(crc32c.crc32c(raw[at : at + 28]) == cryo.footer.crc, 22, "footer: checksum")
    need(last_index, 24, "no INDX")
    need(cryo.footer.index == last_index, 22, "footer: place of INDX")
    # What lies behind the footer is the next file of a pipe; only `verify` minds it.
    return cryo, offsets


def decompress(payload, raw, name):
    """The pages of a compressed DATA chunk: one frame that announces as many bytes as the chunk."""
    try:
        need(zstandard.get_frame_parameters(payload).content_size == raw, 15, f"{name}: the frame announces another size")
        pages = zstandard.ZstdDecompressor().decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as e:
        raise Refused(f"rule 15: {name}: {e}") from e
    need(len(pages) == raw, 15, f"{name}: {len(pages)} bytes")


def admit(c, header, name):
    """May this chunk stand here?"""
    profile, flags = SECTIONS.get(c.kind, (None, None))
    if flags is None:
        return need(not c.flags & CRITICAL, 16, f"{name}: critical and unknown")
    if c.version not in VERSIONS.get(c.kind, (1,)):
        needed = (c.flags | flags) & CRITICAL or c.kind in STRUCTURAL
        return need(not needed, 17, f"{name}: version {c.version}")
    need(c.owner == 0 or c.kind not in ("PAD ", "INDX", "END "), 56, f"{name}: owner {c.owner}")
    need(c.flags & ~ZSTD == flags, 26, f"{name}: flags {c.flags:#x}")
    return need(profile in (None, header.profile.name), 18, f"{name}: in a .{header.profile.name}")


def extents(c, page, ends):
    """Checks one EXTS; gives owner and length of the DATA that must follow."""
    e = c.payload
    need(e.data_pages * page <= 1 << 20, 14, "too many pages announced")
    need(e.data_pages or not any(e.digest), 46, "a digest without data")
    end = ends.get(c.owner, 0)
    for x in e.extents:
        need(x.vaddr % page == 0, 43, f"extent at {x.vaddr:#x} inside a page")
        need(x.vaddr >= end, 42, f"extent at {x.vaddr:#x} below {end:#x}")
        end = x.vaddr + x.pages * page
        need(end < 1 << 64, 42, f"extent at {x.vaddr:#x} wraps around")
        inside = x.reference + x.pages <= e.data_pages if x.content in (1, 2) else x.reference == 0
        need(inside, 45, f"extent at {x.vaddr:#x} refers to page {x.reference}")
    ends[c.owner] = end
    return (c.owner, e.data_pages * page) if e.data_pages else None


def socket_options():
    """Level and number of every option that an image may hold (spec/socket-options.md)."""
    with open(os.path.join(os.path.dirname(__file__), "..", "socket-options.md")) as page:
        rows = [line.split("|")[1:3] for line in page if line.startswith("| ")][1:]
    return {(int(level), int(number)) for level, number in rows}


OPTIONS = socket_options()


def unix(s):
    need(s.kind in (1, 2, 5) and s.state <= 4 and s.shutdown <= 3, 32, "no such kind, state or shutdown")
    options(s)


def inet(s):
    need(s.family in (2, 10) and s.kind in (1, 2) and s.state <= 7 and s.shutdown <= 3, 32, "no such family, kind, state or shutdown")
    need(all(g.family in (2, 10) for g in s.groups), 32, "a group of no internet family")
    need(len(s.kept) == (s.state == 5), 32, "ways to go on in another state")
    options(s)


def netlink(s):
    need(s.kind in (2, 3), 32, "no such kind")
    need(ascending(s.groups), 63, "groups not sorted")
    options(s)


def raw(s):
    need(s.family in (2, 10) and s.connected <= 1 and s.shutdown <= 3, 32, "no such raw socket")
    need(all(g.family in (2, 10) for g in s.groups), 32, "a group of no internet family")
    options(s)


def packet(s):
    need(s.kind in (2, 3) and s.protocol <= 0xFFFF and s.in_fanout <= 1, 32, "no such packet socket")
    need(all(m.kind <= 3 and 1 <= m.count <= 1 << 16 and len(m.address.data) <= 32 for m in s.memberships), 32, "no such membership")
    options(s)


def options(s):
    need(all((o.level, o.name) in OPTIONS for o in s.options), 32, "an option that an image may not hold")
    need(len(s.filter.data) % 8 == 0, 32, "a filter that ends inside an instruction")


def vmas(s):
    for v in s.vmas:
        need(v.start % 4096 == 0 and v.end % 4096 == 0, 41, f"{v.start:#x} not aligned")
        need(v.backing not in (1, 2) or v.object, 51, f"{v.start:#x} maps nothing")
    need(all(a.end <= b.start for a, b in pairwise(s.vmas)), 40, "mappings overlap")


def guards(s):
    need(all(g.start % 4096 == 0 and g.end % 4096 == 0 for g in s.guards), 41, "guards not aligned")
    need(all(g.start < g.end for g in s.guards), 40, "an empty guard")
    need(all(a.end <= b.start for a, b in pairwise(s.guards)), 40, "guards overlap")


def family(s):
    need(ascending(z.pid for z in s.zombies), 63, "zombies not sorted")
    need(not any(c.flags & ~0x40F00 for c in s.common), 32, "flags that are none of clone(2)'s")


def forked(s):
    need(s.parent, 32, "no parent")
    need(all(r.start % 4096 == 0 and r.end % 4096 == 0 for r in s.ranges), 41, "ranges not aligned")
    need(all(r.start < r.end for r in s.ranges), 40, "an empty range")
    need(all(a.end <= b.start for a, b in pairwise(s.ranges)), 40, "ranges overlap")


def touched(s):
    need(all(r.start % 4096 == 0 and r.end % 4096 == 0 for r in s.ranges), 41, "ranges not aligned")
    need(all(r.start < r.end for r in s.ranges), 40, "an empty range")
    need(all(a.end <= b.start for a, b in pairwise(sorted(s.ranges, key=lambda r: r.start))), 40, "ranges overlap")


def ldt(s):
    need(ascending(e.entry for e in s.entries), 63, "LDT entries not sorted")
    need(all(e.entry < 8192 and e.limit < 1 << 20 for e in s.entries), 32, "no such LDT entry")


def mbind(s):
    need(all(r.start % 4096 == 0 and r.end % 4096 == 0 for r in s.ranges), 41, "ranges not aligned")
    need(all(r.start < r.end for r in s.ranges), 40, "an empty range")
    need(all(a.end <= b.start for a, b in pairwise(s.ranges)), 40, "ranges overlap")


def removed(s):
    need(s.mode & 0o170000 in (0o040000, 0o120000), 32, "neither a directory nor a link")
    need(not s.cwd or s.mode & 0o170000 == 0o040000, 32, "a link as a working directory")


def sem_undo(s):
    need(all(0 < abs(a.adjust) <= 32767 for a in s.adjustments), 32, "no such adjustment")
    need(ascending((a.semid, a.number) for a in s.adjustments), 63, "adjustments not sorted")


def ancillary(s):
    need(all(len(m.descriptions) <= 253 and (m.descriptions or m.pid) for m in s.messages), 32, "a message with nothing, or too much")
    need(all(all(m.descriptions) for m in s.messages), 54, "a descriptor of no description")
    need(ascending(m.at for m in s.messages), 63, "messages not sorted")


def sessions(s):
    need(all(x.sid and x.pty for x in s.sessions), 32, "a session without a number or a terminal")
    need(ascending(x.sid for x in s.sessions), 63, "sessions not sorted")


def cpu(s):
    need(ascending(f.data for f in s.features), 63, "features not sorted")
    need(not s.in_use & ~s.xcr0 & ~3, 62, "components in use that XCR0 lacks")


def xstate(s):
    need(len(s.area.data) >= 512, 62, "area too short")
    need(ascending(c.number for c in s.layout), 62, "layout not sorted")
    need(all(c.offset + c.size <= len(s.area.data) for c in s.layout), 62, "component outside the area")


def thread(s):
    need(s.exited or not s.exit_code, 31, "a thread that runs has an exit status")
    if hasattr(s, "dispatch_mode"):  # since version 2
        need(s.dispatch_mode or not (s.dispatch_selector or s.dispatch_offset or s.dispatch_len), 31, "a range, and no dispatch")


def syscall(s):
    waits = s.number in (7, 35, 230) or (s.number == 202 and s.args[1] & 0xFFFFFFFF & ~0x180 in (0, 9))
    need(s.restart != 516 or waits, 64, f"system call {s.number} has no restart block")


def syscall_i386(s):
    futex = s.number in (240, 422) and s.args[1] & ~0x180 in (0, 9)
    need(s.restart != 516 or s.number in (162, 168, 267, 407) or futex, 64, f"system call {s.number} has no restart block")


def objects(s):
    for o in s.objects:
        huge = getattr(o, "huge_page", 0)  # since version 2
        need(huge & (huge - 1) == 0, 32, f"object {o.id}: no page has {huge} bytes")
    need(ascending(o.id for o in s.objects), 50, "objects not sorted")


def aio(s):
    for c in s.contexts:
        need((c.size | c.address) % 4096 == 0 and c.address + c.size < 1 << 64, 32, "a ring that is not of whole pages")
        need(len(c.events) <= max(c.size // 32 - 2, 0), 32, "more events than there is room for")
    need(ascending(c.address for c in s.contexts), 63, "contexts not sorted")


def thread_descriptors(s):
    need(not s.shared_with or not s.descriptors, 31, "a table of its own, and one in common")
    need(ascending(d.fd for d in s.descriptors), 54, "descriptors not sorted")


def fs(s):
    rest = (s.umask, len(s.cwd.data), s.cwd_dev, s.cwd_ino, len(s.root.data), s.root_dev, s.root_ino)
    need(not s.shared_with or not any(rest), 31, "a place of its own, and one in common")


RULES = {
    "FS  ": fs,
    "THRD": thread,
    "SYSC": syscall,
    "SI32": syscall_i386,
    "VMAS": vmas,
    "GARD": guards,
    "FMLY": family,
    "FORK": forked,
    "TCHD": touched,
    "PRNT": lambda s: need(ascending(h.owner for h in s.owners), 63, "owners not sorted"),
    "LDT ": ldt,
    "MBND": mbind,
    "UNIX": unix,
    "INET": inet,
    "NTLK": netlink,
    "RAWS": raw,
    "PCKT": packet,
    "CPU ": cpu,
    "XSTA": xstate,
    "OBJS": objects,
    "SIGA": lambda s: need(ascending(a.signal for a in s.actions), 60, "handlers not sorted"),
    "LIMT": lambda s: need(ascending(x.resource for x in s.limits), 63, "limits not sorted"),
    "ITIM": lambda s: need(ascending(t.which for t in s.timers), 63, "timers not sorted"),
    "PTIM": lambda s: need(ascending(t.id for t in s.timers), 63, "timers not sorted"),
    "FDTB": lambda s: need(ascending(d.fd for d in s.descriptors), 54, "descriptors not sorted"),
    "FDTT": thread_descriptors,
    "AIO ": aio,
    "TLSE": lambda s: need(ascending(e.entry for e in s.entries), 63, "entries not sorted"),
    "SEMU": sem_undo,
    "SESS": sessions,
    "ANCL": ancillary,
    "RMVD": removed,
    "ATTR": lambda s: need(ascending(i.object for i in s.inodes), 63, "inodes not sorted"),
    "HIST": lambda s: need(ascending(d.fd for d in s.descriptors), 63, "descriptors not sorted"),
    "INOT": lambda s: need(ascending(w.wd for w in s.watches), 63, "watches not sorted"),
}


def text(data):
    """Bytes as spec/json.md writes them."""
    out = []
    for c in data.decode("utf-8", "surrogateescape"):
        out.append("\\\\" if c == "\\" else f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c)
    return "".join(out)


def kind_text(kind):
    return "".join("\\\\" if c == "\\" else c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in kind.rstrip(" "))


def fields(struct):
    """A parsed type's fields, without the counts in front of lists."""
    return {k: v for k, v in vars(struct).items() if not k.startswith(("_", "num_")) and k != "num"}


def differences(ours, theirs, path):
    """Where a value as Kaitai parsed it and one from JSON are not the same."""
    if isinstance(ours, KaitaiStruct) and set(fields(ours)) == {"data"}:
        same = theirs in (text(ours.data), ours.data.hex())
    elif isinstance(ours, KaitaiStruct):
        ours = fields(ours)
        if not isinstance(theirs, dict) or set(ours) != set(theirs):
            yield f"{path}: fields {sorted(ours)} against {sorted(theirs) if isinstance(theirs, dict) else theirs}"
            return
        for k, v in ours.items():
            yield from differences(kind_text(v) if k == "kind" and isinstance(v, str) else v, theirs[k], f"{path}.{k}")
        return
    elif isinstance(ours, list):
        if not isinstance(theirs, list) or len(ours) != len(theirs):
            yield f"{path}: {len(ours)} entries against {theirs!r:.80}"
            return
        for i, (a, b) in enumerate(zip(ours, theirs)):
            yield from differences(a, b, f"{path}[{i}]")
        return
    elif isinstance(ours, bytes):
        same = theirs == ours.hex()
    elif isinstance(ours, int) and isinstance(theirs, str):
        same = theirs in (f"{ours:#x}", f"{ours:#010x}")
    else:
        same = type(ours) is type(theirs) and ours == theirs
    if not same:
        yield f"{path}: {ours.data if isinstance(ours, KaitaiStruct) else ours!r} against {theirs!r}"


def compare(cryo, offsets, dump):
    header = {k: v for k, v in fields(cryo.header).items() if k not in ("magic", "reserved", "crc")}
    header["profile"] = cryo.header.profile.name
    if set(header) != set(dump["header"]):
        yield f"header: fields {sorted(header)} against {sorted(dump['header'])}"
    for k in header.keys() & dump["header"].keys():
        yield from differences(header[k], dump["header"][k], f"header.{k}")
    yield from differences(cryo.chunks[-1].payload, dump["end"], "end")
    chunks = cryo.chunks[:-1]
    if len(chunks) != len(dump["chunks"]):
        yield f"{len(chunks)} chunks against {len(dump['chunks'])}"
    for i, (c, at, theirs) in enumerate(zip(chunks, offsets, dump["chunks"])):
        path = f"chunks[{i}]"
        ours = {"kind": kind_text(c.kind), "version": c.version, "flags": c.flags, "owner": c.owner, "offset": at}
        ours |= {"stored": c.stored, "raw": c.raw, "crc": c.crc, "payload": c.payload}
        if c.kind in ("DATA", "PAD "):
            ours["payload"] = None
        if set(ours) != set(theirs):
            yield f"{path}: fields {sorted(ours)} against {sorted(theirs)}"
        for k in ours.keys() & theirs.keys():
            yield from differences(ours[k], theirs[k], f"{path}({kind_text(c.kind)}).{k}")


def dump_of(path, args):
    """What the other reader says, or None where it refuses."""
    if args.json:
        with open(path + ".json") as f:
            return json.load(f)
    command = [*args.inspect.split(), "dump", "--format", "json", "-"]
    # Through a pipe it is this file alone; by its name a .freeze would bring its siblings.
    with open(path, "rb") as f:
        done = subprocess.run(command, stdin=f, capture_output=True, check=False, timeout=120)
    return json.loads(done.stdout) if done.returncode == 0 else None


def check(path, args):
    """Lines about what does not agree."""
    dump = None if args.verdict else dump_of(path, args)
    try:
        cryo, offsets = read(path)
    except Refused as e:
        if args.verdict:
            print(f"refused\t{path}\t{e}")
        elif dump is not None:
            yield f"refused here ({e}), read by the other"
        return
    if args.verdict:
        print(f"read\t{path}\t")
    elif dump is None:
        yield "read here, refused by the other"
    else:
        yield from compare(cryo, offsets, dump)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--inspect", default="cryo-inspect", help="how to call the other reader")
    parser.add_argument("--json", action="store_true", help="the other reader's word is in FILE.json")
    parser.add_argument("--verdict", action="store_true", help="no comparison")
    parser.add_argument("file", nargs="+")
    args = parser.parse_args()
    bad = 0
    for path in args.file:
        for line in check(path, args):
            bad = 1
            print(f"{path}: {line}")
    return bad


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, json.JSONDecodeError, subprocess.SubprocessError) as e:
        print(f"check.py: {e}", file=sys.stderr)
        sys.exit(2)
