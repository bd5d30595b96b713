"""What idle workers hold: memory that is theirs alone, in MB, by flavour."""
import time

import processes
from peers import Service

CREW = 100
FLAVOURS = ("Python alone", "numpy", "pandas", "matplotlib")


def wait_for_crew(service, size, seconds=60):
    """Until each flavour has so many workers and nothing happens any more."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        service.calm()
        if all(len(workers) >= size for _, workers in service.crews()):
            return
    raise RuntimeError(f"a crew of {size} did not get ready: {[len(workers) for _, workers in service.crews()]}")


def measure(build):
    """[{flavour, workers, worker_mb (mean), crew_mb (sum), zygote_mb}, …] and the proportional memory of the whole service.
    None where the kernel does not say, as to an ordinary user of processes that are not its own any more."""
    with Service(build, f"--crew={CREW}", "--workers=1") as service:
        service.check()
        wait_for_crew(service, CREW)
        rows = []
        for name, (zygote, workers) in zip(FLAVOURS, service.crews()):
            held = [kb for kb in map(processes.private_kb, workers) if kb is not None]
            rows.append({
                "flavour": name, "workers": len(workers),
                "worker_mb": sum(held) / len(held) / 1024 if held else None,
                "crew_mb": sum(held) / 1024 if len(held) == len(workers) else None,
                "zygote_mb": (processes.resident_kb(zygote) or 0) / 1024,
            })
        shares = list(map(processes.proportional_kb, processes.tree(service.pid)))
        return rows, sum(shares) / 1024 if None not in shares else None
