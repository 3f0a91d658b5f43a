"""Programs that try to get out. Each defines `attack()`, whose call is the one expression of a job.

In a source stand for what is outside: CANARY (a file with a secret), FOLDER (where it lies), LINK
(a symbolic link to it), HOST, TCP, UDP (an address of loopback, listening ports there), ABSTRACT (a
socket's name), PARENT (the id of the process of the tests).
`ends` are the ways in which an attack may end: what it raises, or how it is ended.
"""

from __future__ import annotations

from dataclasses import dataclass

REFUSED = "raised PermissionError"
UNKNOWN = "raised ModuleNotFoundError"
TIMEOUT = "timeout"
LIMIT = "limit"

NATIVE = """
import gc, sys
gc.unfreeze()
libc = next(each for each in gc.get_objects() if type(each).__name__ == "CDLL")
ctypes = type(libc).__init__.__globals__

def attempt(call):
    ctypes["set_errno"](0)
    result = call()
    return (result, ctypes["get_errno"]())
"""
"""The sandbox's own way to the C library, found in memory though it cannot be imported."""

MAPPED = """
reserve = libc["mmap"]
reserve.restype = ctypes["c_void_p"]
start = reserve(None, 1 << 26, 3, 0x22, -1, 0)
"""
"""64 MiB of memory, as the C library would take it."""


@dataclass(frozen=True)
class Attack:
    name: str
    body: str
    ends: tuple[str, ...]
    top: str = ""

    @property
    def source(self) -> str:
        lines = "".join(f"    {line}\n" for line in self.body.strip("\n").splitlines())
        return f"{self.top}\ndef attack():\n{lines}"


FILES = (
    Attack("open a file", "return open(CANARY).read()", (REFUSED,)),
    Attack("write a file", "open(CANARY, 'w').write('changed')", (REFUSED,)),
    Attack("create a file", "open(FOLDER + '/new', 'x').close()", (REFUSED,)),
    Attack("os.open", "import os\nreturn os.read(os.open(CANARY, os.O_RDONLY), 99)", (REFUSED,)),
    Attack("io.open_code", "import io\nreturn io.open_code(CANARY).read()", (REFUSED,)),
    Attack("io.FileIO", "import io\nreturn io.FileIO(CANARY, 'r+').write(b'x')", (REFUSED,)),
    Attack("delete a file", "import os\nos.unlink(CANARY)", (REFUSED,)),
    Attack("rename a file", "import os\nos.rename(CANARY, CANARY + '2')", (REFUSED,)),
    Attack("cut a file off", "import os\nos.truncate(CANARY, 0)", (REFUSED,)),
    Attack("change a mode", "import os\nos.chmod(CANARY, 0o777)", (REFUSED,)),
    Attack("list a folder", "import os\nreturn os.listdir(FOLDER)", (REFUSED,)),
    Attack("walk the root", "import os\nreturn os.scandir('/')", (REFUSED,)),
    Attack("make a folder", "import os\nos.mkdir(FOLDER + '/made')", (REFUSED,)),
    Attack("follow a link", "return open(LINK).read()", (REFUSED,)),
    Attack("make a link", "import os\nos.symlink(CANARY, FOLDER + '/own')", (REFUSED,)),
    Attack("hard link", "import os\nos.link(CANARY, FOLDER + '/own')", (REFUSED,)),
    Attack("named pipe", "import os\nos.mkfifo(FOLDER + '/pipe')", (REFUSED,)),
    Attack("device", "import os\nos.mknod('/null', 0o20666, os.makedev(1, 3))", (REFUSED,)),
    Attack("change folder", "import os\nos.chdir(FOLDER)", (REFUSED,)),
    Attack("change root", "import os\nos.chroot('/')", (REFUSED,)),
    Attack(
        "linecache",
        "import linecache\nreturn linecache.getline(CANARY, 1) or 1 / 0",
        ("raised ZeroDivisionError",),
    ),
    Attack(
        "a loader",
        "from importlib.machinery import SourceFileLoader\n"
        "return SourceFileLoader('x', CANARY).get_data(CANARY)",
        (REFUSED, UNKNOWN),
    ),
    Attack(
        "the frozen loader's file functions",
        "import _frozen_importlib_external as files\n"
        "return files.FileLoader('x', CANARY).get_data(CANARY)",
        (REFUSED,),
    ),
    Attack("its environment", "return open('/proc/self/environ', 'rb').read()", (REFUSED,)),
    Attack("its memory", "return open('/proc/self/mem', 'rb').read(1)", (REFUSED,)),
    Attack("its descriptors", "import os\nreturn os.listdir('/proc/self/fd')", (REFUSED,)),
    Attack("the first process", "return open('/proc/1/cmdline').read()", (REFUSED,)),
    Attack("the parent's memory", "return open('/proc/PARENT/mem', 'rb')", (REFUSED,)),
    Attack("the root of another", "return open('/proc/1/root' + CANARY).read()", (REFUSED,)),
    Attack("random bytes' device", "return open('/dev/urandom', 'rb').read(1)", (REFUSED,)),
    Attack("shared memory", "return open('/dev/shm/x', 'w')", (REFUSED,)),
    Attack("a terminal", "return open('/dev/tty', 'w').write('x')", (REFUSED,)),
    Attack("a module with files", "import tempfile\ntempfile.mkstemp()", (UNKNOWN,)),
    Attack("an installed package", "import psutil", (UNKNOWN,)),
    Attack("the project itself", "import local_swarm", (UNKNOWN,)),
    Attack("sqlite", "import sqlite3\nsqlite3.connect(CANARY)", (UNKNOWN,)),
)

DESCRIPTORS = (
    Attack(
        "read all descriptors",
        """
import os
found = []
for fd in range(256):
    try:
        found.append(os.read(fd, 1))
    except OSError:
        pass
return found
""",
        ("value []",),
    ),
    Attack(
        "write all descriptors",
        """
import os
found = []
for fd in range(256):
    try:
        found += [os.write(fd, b'')] if fd != 3 else []
    except OSError:
        pass
return found
""",
        ("value []",),
    ),
    Attack(
        "close all descriptors",
        """
import os
os.closerange(0, 256)
for fd in range(256):
    try:
        os.close(fd)
    except OSError:
        pass
return 'still there'
""",
        ("value 'still there'",),
    ),
    Attack("another pipe over the result's", "import os\nos.dup2(0, 3)", (REFUSED,)),
    Attack("copy a descriptor", "import os\nreturn os.dup(3)", (REFUSED,)),
    Attack("a pipe", "import os\nreturn os.pipe()", (REFUSED,)),
    Attack(
        "garbage into the results",
        """
import os
os.write(3, b'\\xff' * 4096)
return 1
""",
        (LIMIT,),
    ),
    Attack(
        "endless results",
        """
import os
while True:
    os.write(3, bytes([0, 1, 0, 0, 0, 49]))
""",
        ("value 1", LIMIT),
    ),
    Attack(
        "a result that never ends",
        """
import os
os.write(3, b'\\0\\xff\\xff\\xff\\x7f')
while True:
    os.write(3, bytes(65536))
""",
        (LIMIT,),
    ),
    Attack(
        "half a result",
        """
import os
os.write(3, b'\\0\\x10')
os._exit(0)
""",
        (LIMIT,),
    ),
    Attack(
        "more results than asked",
        """
import os
os.write(3, bytes([0, 1, 0, 0, 0, 49]) * 1000)
return 2
""",
        ("value 1",),
    ),
)

NETWORK = (
    Attack("a socket", "import socket\nsocket.socket()", (UNKNOWN,)),
    Attack("a web page", "import urllib.request\nurllib.request.urlopen('http://x')", (UNKNOWN,)),
    Attack(
        "the socket module's inside",
        "import _socket\n_socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)",
        (UNKNOWN, REFUSED),
    ),
    Attack(
        "connect and send, over anything",
        """
import struct
inet = struct.pack("=H", 2) + struct.pack("!H4s8x", TCP, HOST)
datagram = struct.pack("=H", 2) + struct.pack("!H4s8x", UDP, HOST)
local = struct.pack("=H", 1) + ABSTRACT.encode()
went = []
for family, kind, name in ((2, 1, inet), (2, 2, datagram), (1, 1, local)):
    own = libc.socket(family, kind, 0)
    for fd in {own, *range(16)}:
        went.append(libc.connect(fd, name, len(name)))
        went.append(libc.sendto(fd, b"x", 1, 0, name, len(name)))
return set(went)
""",
        ("value {-1}",),
        top=NATIVE,
    ),
)

PROCESSES = (
    Attack("fork", "import os\nreturn os.fork()", (REFUSED,)),
    Attack(
        "fork bomb",
        """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
""",
        (TIMEOUT,),
    ),
    Attack("a shell", "import os\nreturn os.system('echo x > ' + CANARY)", ("value 32512",)),
    Attack("popen", "import subprocess\nsubprocess.Popen(['/bin/sh'])", (UNKNOWN, REFUSED)),
    Attack("a program instead", "import os\nos.execv('/bin/sh', ['sh', '-c', 'true'])", (REFUSED,)),
    Attack(
        "posix_spawn",
        "import os\nos.posix_spawn('/bin/sh', ['sh', '-c', 'echo x > ' + CANARY], {})",
        (REFUSED,),
    ),
    Attack(
        "the inside of subprocess",
        "import _posixsubprocess",
        (UNKNOWN, "value None"),
    ),
    Attack("multiprocessing", "import multiprocessing", (UNKNOWN,)),
    Attack("a terminal's fork", "import os\nos.forkpty()", (REFUSED,)),
    Attack(
        "a thread", "import _thread\n_thread.start_new_thread(print, ())", ("raised RuntimeError",)
    ),
    Attack(
        "thread bomb",
        """
import threading
while True:
    try:
        threading.Thread(target=attack).start()
    except RuntimeError:
        pass
""",
        (TIMEOUT,),
    ),
    Attack("end the process", "import os\nos._exit(0)", (LIMIT,)),
    Attack("abort", "import os\nos.abort()", (LIMIT,)),
    Attack("sys.exit", "import sys\nsys.exit(0)", ("raised SystemExit",)),
    Attack("interrupt", "raise KeyboardInterrupt", ("raised KeyboardInterrupt",)),
    Attack(
        "stay after the end",
        """
import atexit, os
atexit.register(lambda: open(CANARY, 'w'))
os.register_at_fork(after_in_child=lambda: open(CANARY, 'w'))
return 1
""",
        ("value 1",),
    ),
    Attack("another priority", "import os\nos.setpriority(0, 0, -20)", (REFUSED,)),
    Attack("another user", "import os\nos.setuid(0)", (REFUSED,)),
    Attack("another processor", "import os\nos.sched_setaffinity(0, {0})", (REFUSED,)),
    Attack("more limits", "import resource\nresource.setrlimit(7, (9, 9))", ("raised ValueError",)),
)

SIGNALS = (
    Attack("kill the parent", "import os\nos.kill(PARENT, 9)", (REFUSED,)),
    Attack("kill its parent", "import os\nos.kill(os.getppid(), 9)", (REFUSED,)),
    Attack("kill the first", "import os\nos.kill(1, 9)", (REFUSED,)),
    Attack("kill all", "import os\nos.kill(-1, 9)", (REFUSED,)),
    Attack("kill the group", "import os\nos.killpg(0, 9)", (REFUSED,)),
    Attack("take signals", "import signal\nsignal.signal(15, signal.SIG_IGN)", (REFUSED, UNKNOWN)),
    Attack(
        "take signals inside",
        "import _signal\n_signal.signal(15, _signal.SIG_IGN)",
        (REFUSED,),
    ),
    Attack(
        "an alarm",
        "import _signal\n_signal.setitimer(0, 0.01)",
        ("raised itimer_error", "raised ItimerError"),
    ),
    Attack(
        "hold signals back", "import _signal\n_signal.pthread_sigmask(0, range(1, 32))", (REFUSED,)
    ),
    Attack("a process descriptor", "import os\nos.pidfd_open(1)", (REFUSED,)),
)

TIME = (
    Attack("an endless loop", "while True: pass", (TIMEOUT,)),
    Attack(
        "one that catches all",
        """
while True:
    try:
        while True: pass
    except BaseException:
        pass
""",
        (TIMEOUT,),
    ),
    Attack("a long power", "return len(str(3 ** 3 ** 14 % 7 ** 9999999))", (TIMEOUT, LIMIT)),
    Attack("a slow expression", "import re\nre.match(r'(a|a)*$', 'a' * 40 + 'b')", (TIMEOUT,)),
    Attack("a long sum", "return sum(range(10 ** 12))", (TIMEOUT,)),
    Attack(
        "a sort that waits",
        "return sorted(range(99), key=lambda _: [0 for _ in iter(int, 1)])",
        (TIMEOUT,),
    ),
    Attack(
        "a comparison that waits",
        """
class Odd(dict):
    def items(self):
        while True: pass
    __repr__ = __eq__ = __hash__ = items
return Odd(a=1)
""",
        ("value {'a': 1}",),
    ),
    Attack(
        "a destructor that waits",
        """
class Odd:
    def __del__(self):
        while True: pass
Odd()
""",
        (TIMEOUT,),
    ),
    Attack(
        "a generator that does not close",
        """
def odd():
    while True:
        try:
            yield
        except GeneratorExit:
            while True: pass
made = odd()
next(made)
del made
""",
        (TIMEOUT,),
    ),
    Attack("sleep", "import time\ntime.sleep(1000)\nreturn 1", ("value 1",)),
    Attack(
        "wait for a lock",
        """
import threading
lock = threading.Lock()
lock.acquire()
lock.acquire()
""",
        (TIMEOUT,),
    ),
    Attack("other clocks", "import time\ntime.clock_settime(0, 0)", (REFUSED,)),
)

MEMORY = (
    Attack("a large list", "return [0] * 10 ** 9", ("raised MemoryError",)),
    Attack("a large text", "return 'x' * 10 ** 11", ("raised MemoryError",)),
    Attack(
        "a large number", "return 1 << 10 ** 11", ("raised MemoryError", "raised OverflowError")
    ),
    Attack(
        "a growing list",
        """
found = []
while True:
    found.append(bytearray(10 ** 6))
""",
        ("raised MemoryError", "timeout"),
    ),
    Attack(
        "memory errors caught",
        """
found = []
while True:
    try:
        found.append(bytearray(10 ** 6))
    except MemoryError:
        pass
""",
        (TIMEOUT, LIMIT),
    ),
    Attack("endless printing", "while True: print('x' * 10 ** 6)", (TIMEOUT,)),
    Attack("a long value", "return 'x' * 10 ** 7", (LIMIT,)),
    Attack("a wide value", "return list(range(10 ** 6))", (LIMIT,)),
    Attack(
        "a deep value",
        """
found = []
for _ in range(10 ** 5):
    found = [found]
return found
""",
        (LIMIT,),
    ),
    Attack("a value that holds itself", "found = []\nfound.append(found)\nreturn found", (LIMIT,)),
    Attack(
        "a class with a long name",
        "return type('x' * 10 ** 6, (), {})()",
        ("value <" + "x" * 100 + ">",),
    ),
    Attack(
        "an exception with a long name",
        "raise type('x' * 10 ** 6, (BaseException,), {})",
        ("raised " + "x" * 100,),
    ),
    Attack("endless depth", "return attack()", ("raised RecursionError",)),
    Attack(
        "depth without a limit",
        "import sys\nsys.setrecursionlimit(10 ** 9)\nreturn attack()",
        (LIMIT, TIMEOUT, "raised MemoryError", "raised RecursionError"),
    ),
    Attack(
        "depth in C",
        "import sys\nsys.setrecursionlimit(10 ** 9)\n"
        "found = ()\nfor _ in range(10 ** 6):\n    found = (found,)\nreturn hash(found)",
        (LIMIT, TIMEOUT, "raised RecursionError"),
    ),
)

INTERPRETER = (
    Attack(
        "other builtins",
        """
import builtins
for name in ('len', 'repr', 'compile', 'eval', 'type', 'sorted', 'issubclass', 'BaseException'):
    setattr(builtins, name, None)
return 1
""",
        ("value 1", LIMIT),
    ),
    Attack(
        "other modules",
        """
import sys
for name in list(sys.modules):
    sys.modules[name] = None
return 1
""",
        ("value 1", LIMIT),
    ),
    Attack(
        "other imports",
        """
import sys
class Odd:
    def find_spec(self, *rest):
        return open(CANARY)
sys.meta_path.insert(0, Odd())
import nothing
""",
        (REFUSED,),
    ),
    Attack(
        "a path to import from",
        """
import sys
sys.path.append(FOLDER)
sys.path_importer_cache.clear()
import _frozen_importlib_external as files
sys.path_hooks.append(files.FileFinder.path_hook((files.SourceFileLoader, ['.py'])))
sys.meta_path.append(files.PathFinder)
import canary
""",
        (UNKNOWN, REFUSED),
    ),
    Attack("foreign functions", "import ctypes", (UNKNOWN,)),
    Attack("foreign functions' inside", "import _ctypes", (UNKNOWN, "value None")),
    Attack(
        "a library",
        "import _imp\n_imp.create_dynamic(type('s', (), {'name': 'x', 'origin': CANARY}))",
        ("raised ImportError", REFUSED),
    ),
    Attack(
        "byte code that crashes",
        """
def inner():
    return 1
code = inner.__code__
inner.__code__ = code.replace(co_code=b'\\x64\\xff' * 8, co_consts=(), co_stacksize=0)
return inner()
""",
        (LIMIT, TIMEOUT, "raised SystemError"),
    ),
    Attack(
        "byte code from outside",
        """
import marshal
code = attack.__code__
data = marshal.dumps(code.replace(co_code=bytes(range(256)), co_consts=()))
return eval(marshal.loads(data))
""",
        (LIMIT, TIMEOUT, "raised SystemError"),
    ),
    Attack(
        "the frames above",
        """
import sys
frame = sys._getframe()
while frame.f_back is not None:
    frame = frame.f_back
    frame.f_globals.clear()
return 1
""",
        ("value 1", LIMIT),
    ),
    Attack(
        "the harness by its frames",
        """
import sys
frame, found = sys._getframe(), []
while frame is not None:
    found.append(dict(frame.f_globals).get('os'))
    frame = frame.f_back
return [each.open(CANARY, 0) for each in found if each]
""",
        (REFUSED,),
    ),
    Attack(
        "what the collector knows",
        """
import gc
gc.unfreeze()
sources = [each for each in gc.get_objects() if isinstance(each, dict) and 'source' in each]
return [each for each in sources if 'SIB' + 'LING' in repr(each['source'])]
""",
        ("value []",),
    ),
    Attack(
        "the collector's settings",
        """
import gc
gc.set_threshold(1)
gc.callbacks.append(lambda *rest: open(CANARY))
gc.collect()
return 1
""",
        ("value 1",),
    ),
    Attack(
        "an audit hook",
        "import sys\nsys.addaudithook(lambda *rest: 1 / 0)\nreturn 1",
        ("value 1", LIMIT, "raised ZeroDivisionError"),
    ),
    Attack(
        "a trace function",
        "import sys\nsys.settrace(lambda *rest: 1 / 0)\nreturn 1",
        ("value 1", LIMIT, "raised ZeroDivisionError"),
    ),
    Attack(
        "a display hook",
        "import sys\nsys.excepthook = lambda *rest: open(CANARY)\nraise ValueError",
        ("raised ValueError",),
    ),
    Attack("the environment", "import os\nreturn dict(os.environ)", ("value {}",)),
    Attack(
        "what the C library has of it",
        "return libc.getenv(b'PATH') or libc.getenv(b'HOME')",
        ("value 0",),
        top=NATIVE,
    ),
    Attack("input", "return input()", ("raised EOFError",)),
    Attack(
        "names like the exceptions",
        "class SystemExit(BaseException): pass\nraise SystemExit",
        ("raised SystemExit",),
    ),
    Attack(
        "a class without a name",
        """
class Meta(type):
    @property
    def __name__(cls):
        while True: pass
return Meta('Odd', (), {})()
""",
        ("value <Odd>",),
    ),
    Attack(
        "a text that is none",
        """
class Text(str):
    def __repr__(self): return open(CANARY).read()
    __str__ = __len__ = __repr__
return Text('x')
""",
        ("value 'x'",),
    ),
)

NATIVE_MEMORY = (
    Attack(
        "executable memory",
        "return attempt(lambda: libc.mmap(None, 4096, 7, 0x22, -1, 0))",
        ("value (-1, 1)",),
        top=NATIVE,
    ),
    Attack(
        "memory made executable",
        "buffer = ctypes['create_string_buffer'](8192)\n"
        "page = (ctypes['addressof'](buffer) + 4095) & ~4095\n"
        "return attempt(lambda: libc.mprotect(ctypes['c_void_p'](page), 4096, 7))",
        ("value (-1, 1)",),
        top=NATIVE,
    ),
    Attack(
        "a file mapped",
        "return attempt(lambda: libc.mmap(None, 4096, 1, 2, 3, 0))",
        ("value (-1, 1)",),
        top=NATIVE,
    ),
    Attack(
        "shared memory mapped",
        "return attempt(lambda: libc.mmap(None, 4096, 3, 0x21, -1, 0))",
        ("value (-1, 1)",),
        top=NATIVE,
    ),
    Attack(
        "code written over",
        "target = ctypes['cast'](libc.getpid, ctypes['c_void_p']).value\n"
        "ctypes['memset'](target, 0xcc, 64)\nlibc.getpid()\nreturn 1",
        (LIMIT,),
        top=NATIVE,
    ),
    Attack("a null pointer", "ctypes['string_at'](0)", (LIMIT,), top=NATIVE),
    Attack(
        "memory hidden from its limit",
        f"{MAPPED}ctypes['memset'](start, 1, 1 << 26)\n"
        "return attempt(lambda: libc.mprotect(ctypes['c_void_p'](start), 1 << 26, 1))",
        ("value (-1, 1)",),
        top=NATIVE,
    ),
    Attack(
        "memory hidden as a stack",
        "return attempt(lambda: libc.mmap(None, 1 << 30, 3, 0x122, -1, 0))",
        ("value (-1, 1)",),
        top=NATIVE,
    ),
    Attack(
        "memory kept while it is moved",
        f"{MAPPED}"
        "return attempt(lambda: libc.mremap(ctypes['c_void_p'](start), 1 << 26, 1 << 26, 5))",
        ("value (-1, 1)",),
        top=NATIVE,
    ),
    Attack(
        "memory shared by its content",
        f"{MAPPED}return attempt(lambda: libc.madvise(ctypes['c_void_p'](start), 4096, 12))",
        ("value (-1, 1)",),
        top=NATIVE,
    ),
    Attack(
        "a lock of the kernel's with priorities",
        "word = (ctypes['c_int'] * 4)()\n"
        "return attempt(lambda: libc.syscall({'x86_64': 202, 'aarch64': 98}[MACHINE], word, 6))",
        ("value (-1, 1)",),
        top=NATIVE,
    ),
    Attack(
        "a system call of another convention",
        "return attempt(lambda: libc.syscall(0x40000000 | 2, CANARY.encode(), 0))",
        ("value (-1, 1)",),
        top=NATIVE,
    ),
)

ON_RESOURCES = (*DESCRIPTORS, *PROCESSES, *TIME, *MEMORY)

NATIVE_CALLS = {
    "open": "libc.open(CANARY.encode(), 0)",
    "creat": "libc.creat(CANARY.encode(), 0o600)",
    "unlink": "libc.unlink(CANARY.encode())",
    "memfd_create": "libc.memfd_create(b'x', 0)",
    "open_by_handle_at": "libc.open_by_handle_at(0, None, 0)",
    "socket TCP": "libc.socket(2, 1, 0)",
    "socket UDP": "libc.socket(2, 2, 0)",
    "socket raw": "libc.socket(2, 3, 1)",
    "socket IPv6": "libc.socket(10, 1, 0)",
    "socket unix": "libc.socket(1, 1, 0)",
    "socket netlink": "libc.socket(16, 3, 0)",
    "socket packet": "libc.socket(17, 3, 0)",
    "socket vsock": "libc.socket(40, 1, 0)",
    "socketpair": "libc.socketpair(1, 1, 0, (ctypes['c_int'] * 2)())",
    "fork": "libc.fork()",
    "execve": "libc.execve(b'/bin/sh', None, None)",
    "kill all": "libc.kill(-1, 9)",
    "tgkill": "libc.syscall({'x86_64': 234, 'aarch64': 131}[MACHINE], 1, 1, 9)",
    "ptrace the parent": "libc.ptrace(16, PARENT, 0, 0)",
    "ptrace me": "libc.ptrace(0, 0, 0, 0)",
    "process_vm_readv": "libc.process_vm_readv(PARENT, None, 0, None, 0, 0)",
    "process_vm_writev": "libc.process_vm_writev(PARENT, None, 0, None, 0, 0)",
    "prctl dumpable": "libc.prctl(4, 1, 0, 0, 0)",
    "prctl seccomp": "libc.prctl(22, 0, 0, 0, 0)",
    "prctl no new privileges": "libc.prctl(38, 0, 0, 0, 0)",
    "prctl death signal": "libc.prctl(1, 0, 0, 0, 0)",
    "unshare": "libc.unshare(0x10000000)",
    "setns": "libc.setns(3, 0)",
    "mount": "libc.mount(b'none', b'/', b'tmpfs', 0, None)",
    "umount2": "libc.umount2(b'/', 2)",
    "chroot": "libc.chroot(b'/')",
    "pivot_root": "libc.syscall({'x86_64': 155, 'aarch64': 41}[MACHINE], b'.', b'.')",
    "keyctl": "libc.syscall({'x86_64': 250, 'aarch64': 219}[MACHINE], 0, -3, 0)",
    "add_key": "libc.syscall({'x86_64': 248, 'aarch64': 217}[MACHINE], b'user', b'x', b'x', 1, -3)",
    "bpf": "libc.syscall({'x86_64': 321, 'aarch64': 280}[MACHINE], 0, 0, 0)",
    "io_uring": "libc.syscall(425, 8, None)",
    "userfaultfd": "libc.syscall({'x86_64': 323, 'aarch64': 282}[MACHINE], 0)",
    "perf_event_open": "libc.syscall({'x86_64': 298, 'aarch64': 241}[MACHINE], 0, 0, 0, 0, 0)",
    "clone3": "libc.syscall(435, None, 0)",
    "pidfd_getfd": "libc.syscall(438, 0, 0, 0)",
    "openat2": "libc.syscall(437, -100, CANARY.encode(), None, 0)",
    "shmget": "libc.shmget(0, 4096, 0o1600)",
    "msgget": "libc.msgget(0, 0o1600)",
    "semget": "libc.semget(0, 1, 0o1600)",
    "personality": "libc.personality(0x400000)",
    "setrlimit": "libc.setrlimit(7, None)",
    "rt_sigaction": "libc.signal(15, 1)",
    "setitimer": "libc.setitimer(0, None, None)",
    "sethostname": "libc.sethostname(b'x', 1)",
    "reboot": "libc.reboot(0)",
    "swapoff": "libc.swapoff(b'/x')",
    "init_module": "libc.syscall({'x86_64': 175, 'aarch64': 105}[MACHINE], 0, 0, 0)",
    "kexec_load": "libc.syscall({'x86_64': 246, 'aarch64': 104}[MACHINE], 0, 0, 0, 0)",
    "ioctl": "libc.ioctl(3, 0x5412, None)",
    "fcntl": "libc.fcntl(3, 0, 0)",
    "sendfile": "libc.sendfile(3, 3, None, 1)",
    "inotify": "libc.inotify_init()",
    "epoll": "libc.epoll_create(1)",
    "eventfd": "libc.eventfd(0, 0)",
    "timerfd": "libc.timerfd_create(0, 0)",
}
"""Calls of the C library and of the kernel by number: each must fail for want of permission."""

CALLS_BY_NAME = tuple(
    Attack(name, f"return attempt(lambda: {call})", ("value (-1, 1)",), top=NATIVE)
    for name, call in NATIVE_CALLS.items()
)

ATTACKS = {
    "files": FILES,
    "descriptors": DESCRIPTORS,
    "network": NETWORK,
    "processes": PROCESSES,
    "signals": SIGNALS,
    "time": TIME,
    "memory": MEMORY,
    "interpreter": INTERPRETER,
    "native memory": NATIVE_MEMORY,
    "calls": CALLS_BY_NAME,
}
