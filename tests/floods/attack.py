"""One flood from a process of its own: attack.py NAME PORT SECONDS SCALE; prints what it did, as JSON."""
import json
import resource
import signal
import sys
import time

from crowd import Crowd
from floods import FLOODS

SPARE = 64  # descriptors for all but connections


def main():
    name, port, seconds, scale = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    flood = FLOODS[name]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    crowd = Crowd(port, flood.behave, min(max(4, int(flood.count * scale)), most - SPARE), **flood.crowd)
    crowd.run(time.monotonic() + seconds)
    print(json.dumps(crowd.finish()))


main()
