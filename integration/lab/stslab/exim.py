# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A private Exim with the transport, router and retry rule that we ship.

It is Debian's exim4 with integration/exim/example.conf and a spool, logs and
mailbox of its own; nothing of the system's Exim is touched.  No daemon runs:
messages are sent and the queue is run in the foreground.
"""

import os
import pathlib
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass, field

from . import pace, processes

EXIM = "/usr/sbin/exim4"
OWNER = "Debian-exim"
MESSAGE_ID = r"\S{6}-\S{6}-\S{2}|\S{6}-\S{11}-\S{4}"    # the longer ones since 4.97
WITH_RESOLVER = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
PIECES = pathlib.Path(__file__).resolve().parents[2] / "exim"


class EximFailed(RuntimeError):
    """exim4 said no."""


@dataclass
class Queued:
    """One message in the queue; `delivered` are recipients that are done."""

    id: str
    sender: str
    frozen: bool
    waiting: list = field(default_factory=list)
    delivered: list = field(default_factory=list)


class Exim:
    """One Exim whose spool, logs and mailbox are below `directory`."""

    def __init__(self, directory, lmtp_port, hostname="out.stslab.example", address="127.0.0.1",
                 macros=None, resolver=None):
        """`macros` are set before the shipped files are read; `resolver` is the name server that it
        asks, and trusts to validate."""
        self.directory = pathlib.Path(directory)
        self._command = [EXIM]
        if resolver is not None:
            names = self.directory / "resolv.conf"
            names.write_text(f"nameserver {resolver}\noptions trust-ad\n", encoding="ascii")
            self._command = ["unshare", "--mount", "sh", "-c", WITH_RESOLVER, "sh", names, EXIM]
        self.hostname = hostname
        self._running = set()   # process ids
        self.config = self.directory / "exim4.conf"
        owner = pwd.getpwnam(OWNER)
        for name in ("spool", "log", "mail"):
            path = self.directory / name
            path.mkdir(parents=True, exist_ok=True)
            os.chown(path, owner.pw_uid, owner.pw_gid)
        pieces = self._readable_pieces()
        settings = {"STSGATE_EXIM": pieces, "STSGATE_ADDRESS": address,
                    "STSGATE_PORT": lmtp_port, "HOSTNAME": hostname,
                    "SPOOL": f"{self.directory}/spool", "LOGS": f"{self.directory}/log/",
                    "MAILBOX": f"{self.directory}/mail/box", **(macros or {})}
        self.config.write_text(
            "".join(f"{name} = {value}\n" for name, value in settings.items())
            + f".include {pieces}/example.conf\n", encoding="utf-8")
        self.config.chmod(0o644)

    def _readable_pieces(self):
        """A copy: Exim reads them as its own user, who may not enter the checkout."""
        pieces = self.directory / "stsgate"
        shutil.copytree(PIECES, pieces, dirs_exist_ok=True)
        for path in (pieces, *pieces.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        return pieces

    def _run(self, *arguments, stdin=b"", seconds=60, check=True):
        process = subprocess.Popen([*self._command, "-C", str(self.config), *arguments],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self._running.add(process.pid)
        try:
            out, errors = process.communicate(stdin, timeout=pace.patience(seconds))
        finally:
            self._running.discard(process.pid)
        if check and process.returncode:
            raise EximFailed(f"exim4 {arguments}: {errors.decode('utf-8', 'replace')}")
        return out.decode("utf-8", "replace")

    def kill(self):
        """SIGKILL to every Exim that is at work."""
        for pid in list(self._running):
            processes.kill_tree(pid)

    def send(self, recipients, sender=None, content=b"Subject: hello\n\nGood day.\n",
             deliver=True):
        """Submit a message and try it at once; gives its id."""
        if isinstance(recipients, str):
            recipients = [recipients]
        before = set(self.arrived())
        self._run("-odf" if deliver else "-odq", "-oi", "-f",
                  sender or "sender@" + self.hostname, *recipients, stdin=content)
        (new,) = set(self.arrived()) - before
        return new

    def run_queue(self, force=True):
        """Try everything in the queue now, retry times or not, or only what is due."""
        self._run("-qff" if force else "-q")

    def queue(self):
        """What `exim -bp` lists."""
        queued = []
        for line in self._run("-bp").splitlines():
            head = re.match(r"\s*\S+\s+\S+\s+(" + MESSAGE_ID + r")\s+<(.*?)>(.*)", line)
            rcpt = re.match(r"\s+(D )?\s*(\S+@\S+)$", line)
            if head:
                queued.append(Queued(head.group(1), head.group(2), "frozen" in head.group(3)))
            elif rcpt and queued:
                done = queued[-1].delivered if rcpt.group(1) else queued[-1].waiting
                done.append(rcpt.group(2))
        return queued

    def waiting(self, message_id=None):
        """The recipients that still wait, of one message or all."""
        return [address for message in self.queue() if message_id in (None, message.id)
                for address in message.waiting]

    def stop(self):
        """There is no daemon."""

    def mailq(self):
        """The queue as an administrator sees it, with the reason why each message waits."""
        texts = [self._run("-bp")]
        texts += [self._run("-Mvl", message.id, check=False) for message in self.queue()]
        return "\n".join(texts)

    def empty(self):
        """Forget the queue and what Exim remembers of hosts and addresses."""
        ids = [message.id for message in self.queue()]
        if ids:
            self._run("-Mrm", *ids, check=False)
        for hints in (self.directory / "spool" / "db").glob("*"):
            hints.unlink()

    def log_text(self):
        return "\n".join(self.mainlog())

    def mainlog(self, message_id=None):
        """The main log's lines, of one message or all."""
        path = self.directory / "log" / "mainlog"
        lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
        return [line for line in lines if message_id is None or message_id in line]

    def arrived(self):
        """Ids of the messages that local senders submitted."""
        return [match.group(1) for match in
                (re.search(f" ({MESSAGE_ID}) <= (?!<>)", line) for line in self.mainlog())
                if match]

    def mailbox(self):
        """Mail received for this host: bounces."""
        path = self.directory / "mail" / "box"
        return path.read_text("utf-8", "replace") if path.exists() else ""
