# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The private network: is this one, and which addresses does it have.

Everything in the lab binds to ports 25, 53 and 443 and adds addresses to
the loopback interface, so it refuses to run where packets could leave.
Addresses are handed out once each: a host that misbehaved in one test is
never met again in another.
"""

import itertools
import socket
import subprocess
import time


class NotPrivate(RuntimeError):
    """This network namespace has a way out."""


def require_private():
    """Raise NotPrivate unless loopback is the only way packets can go."""
    with open("/proc/net/route", encoding="ascii") as table:
        routes = table.read().splitlines()[1:]
    if routes:
        raise NotPrivate("the lab runs in a network namespace of its own: use unshare -n")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)


def add_address(prefix):
    """Give the loopback interface one more address, and wait until it can be reached."""
    options = ["nodad"] if ":" in prefix else []
    subprocess.run(["ip", "address", "replace", prefix, "dev", "lo", *options],
                   check=True, timeout=10)
    address, family = prefix.partition("/")[0], socket.AF_INET6 if options else socket.AF_INET
    end = time.monotonic() + 5
    while not _reachable(address, family) and time.monotonic() < end:
        time.sleep(0.005)


def drop_address(prefix):
    """Take an address of the loopback interface away again."""
    subprocess.run(["ip", "address", "delete", prefix, "dev", "lo"], check=True, timeout=10)


def _reachable(address, family):
    """Does what is sent there arrive? The kernel puts an IPv6 address into its tables a little after
    the command, one after the other: one can bind to it before packets find their way."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.1)
        try:
            probe.bind((address, 0))
            probe.sendto(b"?", probe.getsockname())
            return probe.recv(1) == b"?"
        except OSError:
            return False


class Addresses:
    """Hands out unused addresses of this namespace."""

    def __init__(self):
        self._count = itertools.count(1)

    def loopback(self):
        """An address in 127.1.0.0/16: private, as every loopback address."""
        number = next(self._count)
        return f"127.1.{number // 250}.{number % 250 + 1}"

    def public4(self):
        """An IPv4 address that is globally reachable in the real world."""
        number = next(self._count)
        address = f"11.1.{number // 250}.{number % 250 + 1}"
        add_address(address + "/32")
        return address

    def ipv6(self):
        """An IPv6 address from the documentation block: not globally reachable."""
        address = f"2001:db8:25::{next(self._count):x}"
        add_address(address + "/128")
        return address

    def public6(self):
        """An IPv6 address that is globally reachable in the real world."""
        address = f"2a0f:25::{next(self._count):x}"
        add_address(address + "/128")
        return address
