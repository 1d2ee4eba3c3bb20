# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The lab that stays: started by `up`, asked over a Unix socket, gone after `down`.

All that it leaves in the file system is below one directory, /run/stsgate-lab
unless STSGATE_LAB_DIR says otherwise, and the temporary directory of its
private network; both are gone when it ends.  One line of JSON goes in, one
comes back.
"""

import contextlib
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time

from . import pace, scenarios
from .senders import available
from .terminal import Terminal
from .world import World

DIRECTORY = pathlib.Path(os.environ.get("STSGATE_LAB_DIR", "/run/stsgate-lab"))
SOCKET, LOG, PID = DIRECTORY / "control.sock", DIRECTORY / "log", DIRECTORY / "pid"
START, ANSWER = 90, 300     # seconds
STANDING = {
    "bank.example": {"policy": "enforce"},
    "shop.plain": {"policy": "enforce"},
    "vault.example": {"policy": None, "dane": True},
}
WELCOME = """\
The lab is up. Three domains take mail, and an attacker sits before each of them:

  alice@bank.example    MTA-STS, policy in enforce
  alice@shop.plain      the same, in a zone that is not signed
  alice@vault.example   DANE

  stsgate-lab send                       one message without stsgate, one with it, to bank.example
  stsgate-lab send alice@shop.plain      to another; --alone, --guarded, --mta sendmail
  stsgate-lab attack strip-starttls on   ... and send again
  stsgate-lab attack strip-starttls off
  stsgate-lab status                     what is on, what each domain is like
  stsgate-lab down                       end it; nothing stays behind

Attacks:"""


class NotRunning(RuntimeError):
    """There is no lab to ask."""


def launch(launcher):
    """Start the lab in the background, and wait until it answers; gives the exit status."""
    if _alive():
        print("stsgate-lab: the lab is up already; stsgate-lab down ends it", file=sys.stderr)
        return 1
    if os.geteuid() != 0:
        print("stsgate-lab: must be run as root: it makes a network namespace", file=sys.stderr)
        return 1
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    DIRECTORY.mkdir(mode=0o700, parents=True)
    with open(LOG, "wb") as log:
        child = subprocess.Popen(
            [str(launcher / "private-network"), "/usr/bin/python3", "-m", "stslab.resident"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/")
    PID.write_text(f"{child.pid}\n", encoding="ascii")
    end = time.monotonic() + pace.patience(START)
    while not _alive():
        if child.poll() is not None or time.monotonic() > end:
            sys.stderr.write(LOG.read_text("utf-8", "replace"))
            print("stsgate-lab: the lab did not come up", file=sys.stderr)
            down()
            return 1
        time.sleep(0.05)
    print(WELCOME)
    for scenario in _switchable():
        print(f"  {scenario.name:20}{scenario.title}")
    return 0


def _switchable():
    return [scenario for scenario in scenarios.every().values() if scenario.name != "honest"]


def _alive():
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(SOCKET))
        except OSError:
            return False
        return True


def ask(words):
    """Ask the lab; prints what it says and gives the exit status."""
    with socket.socket(socket.AF_UNIX) as lab:
        try:
            lab.settimeout(ANSWER)
            lab.connect(str(SOCKET))
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunning("no lab is running; stsgate-lab up starts one") from None
        lab.sendall(json.dumps(words).encode() + b"\n")
        with lab.makefile("rb") as answer:
            told = json.loads(answer.readline() or b'{"text": "the lab is gone\\n", "status": 1}')
    sys.stdout.write(told["text"])
    return told["status"]


def down():
    """End the lab and wait until nothing of it is left; gives the exit status."""
    try:
        pid = int(PID.read_text("ascii"))
    except (FileNotFoundError, ValueError):
        raise NotRunning("no lab is running") from None
    with contextlib.suppress(NotRunning, OSError):
        ask({"verb": "down"})
    if not _gone(pid, 30) and _ours(pid):
        # The shell of private-network ends all that runs inside, and cleans up.
        os.kill(pid, signal.SIGTERM)
        _gone(pid, 30)
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    return 0


def _ours(pid):
    """Whether this is still the process that `up` has started."""
    with contextlib.suppress(OSError):
        return b"stslab.resident" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _gone(pid, seconds):
    end = time.monotonic() + pace.patience(seconds)
    while _ours(pid):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)     # when `up` itself has to end it
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Lab:
    """What can be asked of it; one question at a time."""

    def __init__(self, world):
        self.world = world
        self.places = {name: world.place(name, **kind) for name, kind in STANDING.items()}
        self.active = {}        # place name -> Scenario
        self.counts = {"stolen": 0, "held": 0}
        self._lock = threading.Lock()

    def answer(self, words):
        """The answer to one question, as {"text", "status"}."""
        out = io.StringIO()
        terminal = Terminal(out, words.get("colour", False), words.get("width", 96))
        terminal.fine = True
        with self._lock:
            status = getattr(self, "_" + words["verb"])(terminal, words)
        return {"text": out.getvalue(), "status": status}

    def _attack(self, terminal, words):
        scenario = scenarios.every()[words["scenario"]]
        place = self._place(scenario)
        if words["switch"] == "off":
            if self.active.get(place.name) is scenario:
                place.calm()
                del self.active[place.name]
            terminal.say(f"{scenario.name} is off at {place.name}.")
            return 0
        place.calm()
        if scenario.primed:
            place.prime()
        scenario.on(place)
        self.active[place.name] = scenario
        terminal.paragraph(scenario.story)
        terminal.say(f"{scenario.name} is on: stsgate-lab send {place.recipient()}"
                     + (" --mta sendmail" if "exim" not in scenario.senders else ""))
        return 0

    def _place(self, scenario):
        """Where it can be done: a standing domain, or one of its own."""
        for place in self.places.values():
            if scenario.fits(place):
                return place
        place = scenario.place(self.world)
        self.places[place.name] = place
        return place

    def _send(self, terminal, words):
        recipient = words["recipient"]
        place = self.places.get(recipient.rpartition("@")[2].lower())
        if place is None or recipient.startswith("@"):
            terminal.say(f"No such mailbox in the lab: {recipient}; "
                         "stsgate-lab status lists the domains.")
            return 1
        if words["mta"] not in available():
            terminal.say(f"{words['mta']} is not here: run scripts/need mta")
            return 1
        scenario = self.active.get(place.name) or scenarios.every()["honest"]
        both = words["alone"] == words["guarded"]
        for guarded in (False, True):
            if both or guarded == words["guarded"]:
                run = self.world.send(place, words["mta"], guarded, scenario.content, recipient)
                self.counts[run.verdict] = self.counts.get(run.verdict, 0) + 1
                terminal.run(scenario, run)
        return 0

    def _status(self, terminal, _):
        for place in self.places.values():
            kind = "DANE" if place.dane else f"policy {place.policy}" if place.policy else "open"
            on = self.active.get(place.name)
            terminal.say(f"{place.name:28}{kind:18}" + (f"attack: {on.name}" if on else "honest"))
        told = ", ".join(f"{count} {verdict}" for verdict, count in self.counts.items())
        terminal.say(f"messages so far: {told}")
        return 0

    def _down(self, terminal, _):
        terminal.say("The lab is gone.")
        threading.Timer(0.05, _stop.set).start()
        return 0


_stop = threading.Event()


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline(65536)
        if not line.strip():
            return      # a client that only tested whether we are there
        try:
            answer = self.server.lab.answer(json.loads(line))
        except Exception as error:  # the lab goes on, and who asked hears of it
            answer = {"text": f"stsgate-lab: {type(error).__name__}: {error}\n", "status": 1}
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(json.dumps(answer).encode() + b"\n")


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def main():
    """Inside the private network."""
    signal.signal(signal.SIGTERM, lambda *_: _stop.set())
    with World() as world:
        with _Server(str(SOCKET), _Handler) as server:
            os.chmod(SOCKET, 0o600)
            server.lab = Lab(world)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            _stop.wait()
            server.shutdown()
            with contextlib.suppress(FileNotFoundError):
                SOCKET.unlink()


if __name__ == "__main__":
    main()
