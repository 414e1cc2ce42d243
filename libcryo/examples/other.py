#!/usr/bin/env python3
"""The C library from Python: freezes a process by its pid, says what is in the ice, thaws it.  other.py PID"""
import ctypes, json, os, sys

cryo = ctypes.CDLL(os.environ.get("LIBCRYO", "libcryo.so.1"), use_errno=True)
cryo.freeze_process.restype = ctypes.c_void_p
cryo.cryo_strerror.restype = ctypes.c_char_p
cryo.cryo_version.restype = ctypes.c_char_p
free = ctypes.CDLL(None).free
free.argtypes = [ctypes.c_void_p]

FORCE = 1 << 4


def text(pointer):
    value = ctypes.string_at(pointer).decode()
    free(pointer)
    return value


def must(done):
    if not done:
        raise OSError(ctypes.get_errno(), cryo.cryo_strerror().decode())
    return done


pid = int(sys.argv[1])
try:
    must(cryo.freeze_process(2**22 + 1, 0))
except OSError as e:
    print("no such process:", e.errno, e.strerror)
name = text(must(cryo.freeze_process(pid, FORCE)))
print("frozen:", name)
said = ctypes.c_void_p()
must(cryo.cryo_inspect(name.encode(), ctypes.byref(said)) == 0)
print("in the ice:", ", ".join(json.loads(text(said))))
again = cryo.thaw_process(pid, 0)
must(again > 0)
print("thawed:", again)
