"""One fault at a time: brought about in a real service, and what came of it.

An outcome is one of

    absorbed   every request got its right answer
    said       a request got an error that says what happened, or its connection was closed, and the next ones are right
    replaced   a process was ended and made anew, and requests are right after that
    degraded   it serves with a layer of confinement less, and says so
    refused    it does not start: a message, a status that is not 0, and nothing left behind
    unreached  there was no such occurrence this time

and Bug is raised for everything else.
"""
import http.client
import json
import os
import re
import signal
import time

from cases import Case
from injection import Injected
from service import Background, ask, descriptor_count, is_zygote, order, read_proc, state_of, status_field, wait_until

PATIENCE = 15
BULK = "#" * 100_000
# What a script finds of its confinement: whoever answers must have it all, also beside a fault.
SEEN = """
import os, resource, socket
def seen():
    try: socket.socket(); network = 'a socket'
    except OSError: network = 'refused'
    limits = [resource.getrlimit(getattr(resource, 'RLIMIT_' + name)) for name in ('NOFILE', 'NPROC', 'CORE', 'STACK', 'MEMLOCK')]
    return [os.getresuid(), os.getresgid(), os.getgroups(), network, limits, sorted(os.listdir('/')), os.access('/', os.W_OK)]
"""
REQUESTS = [
    (order(SEEN + "def main():\n    print('well')\n    return seen()"), {"stdout": "well\n"}),
    (order(f"{BULK}\nimport sys\ndef main():\n    print('x' * 300_000)\n    return [sys.stdin.read(), 'y' * 200_000]", stdin="abc" * 50_000),
     {"result": ["abc" * 50_000, "y" * 200_000], "stdout": "x" * 300_000 + "\n"}),
    # For the zygote of another flavour, where there is one.
    (order(SEEN + "import decimal\ndef main():\n    open('/tmp/x', 'w').write('z')\n    return seen() + [os.listdir('/tmp')]",
           wall_ms=4000, scratch_mb=3), {"stdout": ""}),
]
CONFINED = {}  # what seen() has said without a fault
SLOW = order("import time\ndef main():\n    time.sleep(1)\n    return 'slept'")
LAYERS = ("Uid Gid Groups NoNewPrivs Seccomp CapInh CapPrm CapEff CapBnd CapAmb").split()
OPTIONS = ("--workers=2", "--crew=2", "--stall-s=5", "--import-s=20", "--queue-ms=3000")
BARE = (*OPTIONS, "--preload=")


class Bug(AssertionError):
    pass


# --- What it looks like from outside ----------------------------------------------------------------


def confinement(pid):
    """Of a worker, as the kernel has it; ids by their being its own."""
    limits = read_proc(pid, "limits").decode()
    spaces = {}
    for name in os.listdir("/proc/self/ns"):
        try:
            spaces[name] = os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}")
        except OSError:
            spaces[name] = None
    fields = {name: re.sub(r"[1-9]\d{5,}", "ID", status_field(pid, name)) for name in LAYERS}
    groups = re.sub(r"\d+", "N", read_proc(pid, "cgroup").decode())
    return {**fields, "limits": limits, "spaces": spaces, "groups": groups, "oom": read_proc(pid, "oom_score_adj").decode()}


def isolation(service):
    """{(whose, layer): whether it is active}"""
    said = service.ask("GET", "/isolation", timeout=PATIENCE).json
    return {(whose, layer["name"]): layer["active"] for whose in ("layers", "server") for layer in said[whose]}


def children(pid):
    return [int(child) for child in read_proc(pid, f"task/{pid}/children").split()]


def family(service):
    """{"server": pids, "zygotes": …, "flavours": …, "workers": …}: Service finds them too, by looking at all of the machine's."""
    found = {"server": [], "zygotes": [], "flavours": [], "workers": []}
    for pid in children(service.manager_pid):
        program = read_proc(pid, "cmdline").split(b"\0")[0]
        if program in (b"python-executor-server", b"python-executor-zygote") and state_of(pid) != "Z":
            found["server" if program.endswith(b"server") else "zygotes"].append(pid)
    above = list(found["zygotes"])
    while above:
        for pid in children(above.pop()):
            if is_zygote(pid):
                found["flavours"].append(pid)
                above.append(pid)
            elif state_of(pid) not in ("", "Z"):
                found["workers"].append(pid)
    return found


def is_at_work(pid):
    """Of a worker: an idle one has no pipe to print to."""
    try:
        return os.readlink(f"/proc/{pid}/fd/1").startswith("pipe:")
    except OSError:
        return False


def figures(service):
    """Numbers of processes, and of descriptors of those that last."""
    found = family(service)
    lasting = [service.manager_pid, *found["server"], *found["zygotes"], *found["flavours"]]
    return {**{name: len(pids) for name, pids in found.items()}, "descriptors": [descriptor_count(pid) for pid in lasting]}


def mounts(service):
    """{zygote: how many it has}: a name space of its own, which ends with it; another zygote may have come to its root in another way."""
    found = family(service)
    return {pid: read_proc(pid, "mountinfo").count(b"\n") for pid in found["zygotes"] + found["flavours"]}


def settled(service, reference):
    """Whether it gets to look as it did without a fault; else what it looks like."""
    try:
        return wait_until(lambda: figures(service) == reference["figures"], 6, 0.05)
    except OSError:
        return False


def confined_alike(service, reference, seconds=5):
    """Of all workers that are ready."""
    def odd():
        ready = [pid for pid in family(service)["workers"] if status_field(pid, "Seccomp") == "2"]
        looks = [confinement(pid) for pid in ready]
        # One that ends meanwhile has no limits any more; one that is getting ready has filters of one layer only.
        return [look for look in looks if look["limits"] and look not in reference["workers"]]

    wait_until(lambda: not odd(), seconds, 0.1)
    return odd()


def look(service):
    """What others are compared with: once it has had something to do, which is when all idle workers are made."""
    assert is_well(service)
    def is_full():
        found = family(service)
        ready = [pid for pid in found["workers"] if status_field(pid, "Seccomp") == "2"]
        return len(ready) == len(found["workers"]) == 2 * (1 + len(found["flavours"])) and ready

    assert wait_until(is_full, 20)
    time.sleep(0.5)
    workers = [confinement(pid) for pid in wait_until(is_full, 5)]
    return {"figures": figures(service), "workers": workers, "isolation": isolation(service)}


# --- Requests ---------------------------------------------------------------------------------------


def request(service, body, right):
    """"right", "said" or "cut"."""
    try:
        answer = ask(service.port, "POST", "/execute", body, {"Connection": "close"}, PATIENCE)
    except TimeoutError:
        raise Bug("a request hangs") from None
    except (OSError, http.client.HTTPException):
        return "cut"
    if answer.status == 200:
        said = answer.json
        if "result" not in right:
            right = {"result": CONFINED.setdefault(body, said["result"]), **right}
        if said != right:
            raise Bug(f"a wrong answer: {answer}; right is {str(right)[:400]}")
        return "right"
    if answer.status == 503 and "retry-after" in answer.headers:
        return "said"
    # What a script is told by an exception is as clear as it gets.
    if answer.status == 500 and answer.outcome not in (None, "ok") or answer.status == 400 and answer.outcome in ("exception", "memory"):
        return "said"
    raise Bug(f"neither right nor an error that says what happened: {answer}")


def is_well(service):
    return all(request(service, *one) == "right" for one in REQUESTS)


def recovers(service):
    if service.process.poll() is not None:
        raise Bug(f"the service has ended with {service.process.returncode}: {service.log[-500:]}")
    if not wait_until(lambda: is_well(service), PATIENCE, 0.1):
        raise Bug(f"requests are not right afterwards: {service.log[-500:]}")


def parts(service):
    found = family(service)
    return {*found["server"], *found["zygotes"], *found["flavours"]}


# --- Trials -----------------------------------------------------------------------------------------


class MayRefuse:
    """Of a service that may refuse to start: its port is None then, and where it does nothing."""

    def wait_for_port(self):
        pattern = re.compile(r"^ready in [0-9.]+ s, listening on http://127\.0\.0\.1:([0-9]+)$", re.M)
        wait_until(lambda: pattern.search(self.out) or self.process.poll() is not None, 30)
        found = pattern.search(self.out)
        return int(found.group(1)) if found else None


class Starting(MayRefuse, Injected):
    pass


def verdict_of_refusal(service, by_loader=False):
    """Where the C library cannot load a program it says what it likes, and may crash (2.36 does); nothing of ours runs then."""
    service.process.wait()
    lines = [line for line in service.log.splitlines() if not re.match(r"python-executor: (memory:|user id)", line)]
    if service.process.returncode == 0 or service.process.returncode < 0 and not by_loader:
        raise Bug(f"it ended with status {service.process.returncode}: {service.log[-500:]}")
    if not lines and not by_loader:
        raise Bug("it refused to start and did not say why")
    service.assert_gone(3)
    return "refused"


def compare(service, reference):
    """Whether it is as confined as without the fault, or says that it is not."""
    says = isolation(service)
    less = {name for name, active in reference["isolation"].items() if active and not says[name]}
    odd = confined_alike(service, reference)
    if odd and not less:
        raise Bug(f"a worker is confined otherwise than it says: {odd[0]}")
    return less


def after(service, reference, before, outcomes):
    """Behind a fault in a running service."""
    recovers(service)
    less = compare(service, reference)
    # One that was made anew meanwhile has few idle workers until it has had something to do.
    if not less and not settled(service, reference) and not (is_well(service) and settled(service, reference)):
        raise Bug(f"not as before: {figures(service)}, before {reference['figures']}")
    if less:
        return "degraded"
    if not before <= parts(service):
        return "replaced"
    return "absorbed" if set(outcomes) <= {"right"} else "said"


def try_start(case, options, reference, **keys):
    service = Starting(*options, fault=case, **keys)
    try:
        # GET /readyz says no until all is imported, and what fails before that is final.
        wait_until(lambda: "all that is preloaded is there" in service.log or service.process.poll() is not None, 30)
        if service.port is None and service.process.poll() is None:
            raise Bug(f"it neither starts nor ends: {service.log[-500:]}")
        if service.process.poll() is not None:
            return verdict_of_refusal(service, case.role == "loader")
        early = service.injector.was_hit()
        service.injector.disarm()
        log = service.log
        outcome = after(service, reference, parts(service), [])
        service.stop()
        if outcome == "absorbed" and ("was killed by" in log or "ended with status" in log or "could not take over" in log):
            outcome = "replaced"
        return outcome if early else "unreached"
    finally:
        service.kill()


def requests_until_hit(service):
    """What is done each second comes within two."""
    outcomes = []
    end = time.monotonic() + 2
    while not outcomes or not service.injector.hits and time.monotonic() < end:
        outcomes += [request(service, *one) for one in REQUESTS]
        service.injector.was_hit()
    return outcomes


def requests_meanwhile(service):
    """While nothing goes they wait, and are answered when it goes again."""
    calls = [Background(request, service, *one) for one in REQUESTS]
    time.sleep(2)
    service.injector.disarm()
    return [call.get() for call in calls]


def try_serving(case, service, reference):
    before, mounted, injector = parts(service), mounts(service), service.injector
    injector.arm(case.role, case.call, case.action, case.nth, case.times)
    outcomes = (requests_until_hit if case.times == 1 else requests_meanwhile)(service)
    hit = injector.was_hit()
    injector.disarm()
    outcome = after(service, reference, before, outcomes)
    now = mounts(service)
    if any(now.get(pid, count) != count for pid, count in mounted.items()):
        raise Bug(f"mounts: {now}, before {mounted}")
    return outcome if hit else "unreached"


def try_reload(case, service, reference):
    injector, old = service.injector, family(service)

    def has_taken_over():
        """Not by the log, of which a line may be what was lost."""
        zygotes = family(service)["zygotes"]
        return len(zygotes) == 1 and zygotes != old["zygotes"]

    injector.arm(case.role, case.call, case.action, case.nth, case.times)
    service.process.send_signal(signal.SIGHUP)
    outcomes = requests_meanwhile(service) if case.times > 1 else []
    end = time.monotonic() + PATIENCE
    while not has_taken_over() and time.monotonic() < end:
        outcomes.append(request(service, *REQUESTS[0]))
    hit = injector.was_hit(0.2)
    injector.disarm()
    if not wait_until(has_taken_over, PATIENCE):
        raise Bug(f"no fresh zygote takes over: {service.log[-500:]}")
    outcome = after(service, reference, set(old["server"]), outcomes)
    return outcome if hit else "unreached"


def try_drain(case, options, reference, **keys):
    service = Injected(*options, **keys)
    try:
        service.wait_for_ready()
        assert is_well(service) and settled(service, reference)
        running = Background(request, service, SLOW, {"result": "slept", "stdout": ""})
        assert wait_until(lambda: any(map(is_at_work, family(service)["workers"])))
        service.injector.arm(case.role, case.call, case.action, case.nth, case.times)
        service.process.send_signal(signal.SIGTERM)
        outcome = running.get(PATIENCE)
        try:
            service.process.wait(PATIENCE)
        except Exception:
            raise Bug(f"it does not end: {service.log[-500:]}") from None
        hit = service.injector.was_hit()
        service.assert_gone(3)
        if service.process.returncode < 0:
            raise Bug(f"it was killed by signal {-service.process.returncode}")
        return ("absorbed" if outcome == "right" else "said") if hit else "unreached"
    finally:
        service.kill()


__all__ = ["Bug", "Case", "OPTIONS", "look", "try_start", "try_serving", "try_reload", "try_drain"]
