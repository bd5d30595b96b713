#!/usr/bin/python3
"""Runs a command with a socket handed over as a service manager does it, sd_listen_fds(3): launch_inheriting.py
DESCRIPTORS COMMAND ..., with the numbers of the descriptors separated by commas."""
import os
import sys

FIRST = 3


def main():
    given, *command = sys.argv[1:]
    # By way of numbers that are nobody's.
    numbers = [int(number) for number in given.split(",")]
    high = [os.dup2(number, 100 + at) for at, number in enumerate(numbers)]
    for at, number in enumerate(high):
        os.dup2(number, FIRST + at, inheritable=True)
        os.close(number)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(numbers)), LISTEN_FDNAMES="http")
    os.execvp(command[0], command)


main()
