"""Tools of the attacks: what every hostile script begins with, and how an answer is judged."""

# A raw system call and the name of its error; a call that is let through to the kernel answers with
# something else than these three, be it EFAULT for the senseless arguments.
PRELUDE = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *arguments):
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return "reached: %d" % r if r >= 0 else errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))
def attempt(function, *arguments, **keys):
    try: return "reached: %.80r" % (function(*arguments, **keys),)
    except OSError as e: return errno.errorcode.get(e.errno, str(e))
    except Exception as e: return type(e).__name__
"""

REFUSED = {"EPERM", "EACCES", "ENOSYS"}


def attack(service, body):
    """Runs a script below the prelude; its answer, which must be a result."""
    return service.result(PRELUDE + body)


def assert_refused(found, allowed=REFUSED):
    """found: {what: error name}. Names everything that got further than the refusal."""
    reached = {what: answer for what, answer in found.items() if answer not in allowed}
    assert not reached, f"not refused: {reached}"
