# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The interface to a service manager: sd_notify and socket activation, without systemd."""

import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest
from checks import address
from stslab import lmtp, programs

# Puts the sockets where sd_listen_fds(3) has them, and becomes stsgated.
PASS_ON = """
import fcntl, os, sys
names, fds, *command = sys.argv[1:]
out_of_the_way = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in fds.split(",")]
for number, fd in enumerate(out_of_the_way):
    os.dup2(fd, 3 + number)
os.environ.update(LISTEN_FDNAMES=names, LISTEN_FDS=str(len(out_of_the_way)),
                  LISTEN_PID=str(os.getpid() + int(os.environ.get("WRONG_PID", "0"))))
os.execv(command[0], command)
"""


class Manager:
    """Receives what is notified."""

    def __init__(self, directory):
        self.path = directory / "notify.sock"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.path.chmod(0o666)
        self.socket.settimeout(30)

    def hear(self):
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().split("\n"))

    def hear_until(self, key):
        while key not in (heard := self.hear()):
            pass
        return heard


def prefix(**variables):
    return ["env", *(f"{name}={value}" for name, value in variables.items())]


def test_what_is_notified(net, tmp_path):
    mta = net.daemons.make()
    tmp_path.chmod(0o755)
    manager = Manager(mta.directory)
    mta.start(prefix=prefix(NOTIFY_SOCKET=manager.path, WATCHDOG_USEC=400000))
    ready = manager.hear()
    assert ready["READY"] == "1" and "ready as" in ready["STATUS"]
    assert [manager.hear()["WATCHDOG"] for _ in range(3)] == ["1"] * 3
    before = time.monotonic_ns() // 1000
    mta.reload()
    reloading = manager.hear_until("RELOADING")
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert manager.hear_until("READY")["READY"] == "1"
    mta.config.write_text("broken\n")
    mta.reload()
    manager.hear_until("RELOADING")
    assert "cannot be used" in manager.hear_until("READY")["STATUS"]
    assert mta.stop() == 0
    assert manager.hear_until("STOPPING")["STOPPING"] == "1"


def inherited(directory, name, backlog=10):
    sock = socket.socket(socket.AF_UNIX)
    path = pathlib.Path(directory) / name
    sock.bind(str(path))
    path.chmod(0o600)
    if backlog:
        sock.listen(backlog)
    return sock, path


def launch(mta, sockets, names, **variables):
    """stsgated with these sockets from descriptor 3 on."""
    fds = [sock.fileno() for sock in sockets]
    with open(mta.log_path, "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", PASS_ON, names, ",".join(map(str, fds)),
             programs.find("stsgated"), "-c", str(mta.config)], pass_fds=fds,
            env={**os.environ, **variables}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd="/")


def test_sockets_are_taken_over(net):
    """They take the place of the configured ones, and outlive SIGHUP and the end."""
    mta = net.daemons.make()
    sockets = [inherited(mta.directory, "a.sock"), inherited(mta.directory, "b.sock")]
    domain = net.domain()
    mta.process = launch(mta, [sock for sock, _ in sockets], "lmtp:control")
    where = f"unix:{sockets[0][1]}"
    assert lmtp.deliver(where, address(domain)).only.short == "250 2.0.0"
    configured = pathlib.Path(mta.lmtp.removeprefix("unix:"))
    assert not configured.exists(), "lmtp.listen gives way to the socket that was passed"
    assert (configured.parent / "policy.sock").exists()
    mta.reload({"lmtp": {"listen": [f"unix:{configured.parent}/other.sock"]}})
    assert lmtp.deliver(where, address(domain)).only.short == "250 2.0.0"
    assert mta.stop() == 0
    assert all(path.exists() for _, path in sockets)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(sockets[0][1]))  # queued for the next start


def test_sockets_for_another_process_are_left_alone(net):
    mta = net.daemons.make()
    sock, path = inherited(mta.directory, "a.sock")
    mta.process = launch(mta, [sock], "lmtp", WRONG_PID="1")
    configured = mta.lmtp
    end = time.monotonic() + 30
    while not pathlib.Path(configured.removeprefix("unix:")).exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert mta.wait_log("start", 30)
    assert mta.stop() == 0


@pytest.mark.parametrize("name, backlog, word", [
    ("smtp", 10, "FileDescriptorName"), ("lmtp", 0, "not a listening stream socket")])
def test_sockets_that_cannot_be_used(net, name, backlog, word):
    mta = net.daemons.make()
    sock, _ = inherited(mta.directory, "a.sock", backlog)
    process = launch(mta, [sock], name)
    assert process.wait(30) == 69
    assert word in mta.log_text()
