"""The true order of stdout and stderr, for a run whose output is read while it runs.

They are two pipes, and a reader cannot tell which of two was written first if there is something in both. So there
never is: whoever writes to one first waits until the other has been read. That holds for Python's own streams,
os.write and os.writev; what C code writes itself does not wait.
"""

import fcntl
import os
import posix
import sys
import termios
import time

ioctl = fcntl.ioctl
FIONREAD, NOTHING = termios.FIONREAD, bytes(4)
sched_yield = os.sched_yield
sleep = time.sleep
fstat = os.fstat

YIELDS = 8  # before it sleeps; the reader needs some microseconds
LONGEST_SLEEP = 1000  # microseconds


def identity_of(fd):
    found = fstat(fd)
    return found.st_dev, found.st_ino


class Pipe:
    def __init__(self, fd):
        self.fd = fd
        self.identity = identity_of(fd)

    def is_unread(self):
        """Whether there is something in it. A script may have put anything else at its number, or nothing."""
        try:
            return ioctl(self.fd, FIONREAD, NOTHING) != NOTHING and identity_of(self.fd) == self.identity
        except OSError:
            return False

    def wait(self):
        """Until it is read, which takes as long as the run where the reader's own client is slow."""
        tries, pause = 0, 10
        while self.is_unread():
            if tries < YIELDS:
                tries += 1
                sched_yield()
            else:
                sleep(pause / 1e6)
                pause = min(2 * pause, LONGEST_SLEEP)


def keep(ordered):
    """From now on. `ordered`: the class of stdout's and stderr's buffers, which wait for their `other`."""
    others = {1: Pipe(2), 2: Pipe(1)}
    write_now, writev_now = posix.write, posix.writev
    for stream, fd in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.buffer.__class__ = ordered
        stream.buffer.other = others[fd]

    def write(fd, data, /):
        """Write a bytes object to a file descriptor."""
        if fd in others:
            others[fd].wait()
        return write_now(fd, data)

    def writev(fd, buffers, /):
        """Iterate over buffers, and write the contents of each to a file descriptor."""
        if fd in others:
            others[fd].wait()
        return writev_now(fd, buffers)

    os.write = posix.write = write
    os.writev = posix.writev = writev
