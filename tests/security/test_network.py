"""No way to talk to anything. Layers: seccomp (no socket but an unnamed stream pair); the empty network
namespace under it."""
import os

from attack import assert_refused, attack


def test_no_socket_of_any_family(service):
    script = (
        "import socket\ndef main():\n    found = {}\n    for family in range(50):\n        for kind in (1, 2, 3, 4, 5, 10):\n"
        "            found[f'{family}/{kind}'] = call(41, family, kind, 0)\n    return found"
    )
    found = attack(service, script)
    assert len(found) == 300
    assert_refused(found)


def test_what_pythons_libraries_try(service):
    script = f"""
import asyncio, socket, urllib.request, http.client, smtplib, xmlrpc.client
def main():
    return {{
        "connect": attempt(socket.create_connection, ("127.0.0.1", {service.port}), 2), "serve": attempt(socket.create_server, ("", 0)),
        "urlopen": attempt(urllib.request.urlopen, "http://127.0.0.1:{service.port}/"), "smtp": attempt(smtplib.SMTP, "127.0.0.1"),
        "datagram": attempt(socket.socket, socket.AF_INET, socket.SOCK_DGRAM), "ipv6": attempt(socket.socket, socket.AF_INET6),
        "netlink": attempt(socket.socket, 16, 3, 0), "packet": attempt(socket.socket, 17, 3, 0), "vsock": attempt(socket.socket, 40, 1, 0),
        "alg": attempt(socket.socket, 38, 5, 0), "unix": attempt(socket.socket, socket.AF_UNIX), "asyncio": attempt(lambda: asyncio.run(asyncio.open_connection("127.0.0.1", {service.port}))),
        "raw": attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1),
    }}
"""
    assert_refused(attack(service, script), {"EPERM", "EACCES", "ENOSYS", "URLError", "<urlopen error [Errno 1] Operation not permitted>"})


def test_names_are_not_resolved(service):
    found = attack(service, "import socket\ndef main(): return {n: attempt(socket.getaddrinfo, n, 80) for n in ('example.com', 'metadata.google.internal')}")
    assert not [answer for answer in found.values() if answer.startswith("reached")], found


def test_a_socket_pair_leads_nowhere_else(service):
    """asyncio needs an unnamed stream pair; it must not be bound, connected, addressed or asked of the network."""
    script = """
import socket, array
def main():
    a, b = socket.socketpair()
    name = ctypes.create_string_buffer(b"\\1\\0\\0abstract")
    found = {"bind": call(49, a.fileno(), name, 11), "connect": call(42, a.fileno(), name, 11), "listen": call(50, a.fileno(), 1),
             "sendto": call(44, a.fileno(), name, 1, 0, name, 11), "sendmsg": attempt(a.sendmsg, [b"x"], [(1, 1, array.array("i", [0]))]),
             "out of band": attempt(a.send, b"x", socket.MSG_OOB), "read out of band": call(45, b.fileno(), name, 1, 1, 0, 0),
             "datagram pair": attempt(socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM), "packet pair": attempt(socket.socketpair, socket.AF_UNIX, socket.SOCK_SEQPACKET),
             "SIOCGIFCONF": call(16, a.fileno(), 0x8912, ctypes.create_string_buffer(64)), "setsockopt": attempt(a.setsockopt, 1, 7, 1)}
    a.send(b"works")
    found["itself"] = "EPERM" if b.recv(9) == b"works" else "broken"
    return found
"""
    assert_refused(attack(service, script))


def test_the_channel_passes_no_descriptors(service):
    """Descriptor 3 is a socket to the server; a descriptor sent over it would be the server's to leak."""
    script = """
import array, socket
def main():
    s = socket.socket(fileno=os.dup(3))
    return {"sendmsg": attempt(s.sendmsg, [b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))]), "sendmmsg": call(307, 3, 0, 0, 0)}
"""
    assert_refused(attack(service, script))


def test_the_network_namespace_is_empty(service):
    """What the namespaces hold is seen from outside, since a script has no means to look."""
    worker = service.ready_pids()[0]
    for kind in ("user", "pid", "mnt", "net", "ipc", "uts"):
        assert os.readlink(f"/proc/{worker}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
    with open(f"/proc/{worker}/net/dev") as file:
        assert [line.split(":")[0].strip() for line in file.readlines()[2:]] in ([], ["lo"])
