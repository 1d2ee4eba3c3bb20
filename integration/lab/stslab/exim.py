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

EXIM = "/usr/sbin/exim4"
OWNER = "Debian-exim"
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

    def __init__(self, directory, lmtp_port, hostname="out.stslab.example", address="127.0.0.1"):
        self.directory = pathlib.Path(directory)
        self.hostname = hostname
        self.config = self.directory / "exim4.conf"
        owner = pwd.getpwnam(OWNER)
        for name in ("spool", "log", "mail"):
            path = self.directory / name
            path.mkdir(parents=True, exist_ok=True)
            os.chown(path, owner.pw_uid, owner.pw_gid)
        pieces = self._readable_pieces()
        self.config.write_text(
            f"STSGATE_EXIM = {pieces}\nSTSGATE_ADDRESS = {address}\nSTSGATE_PORT = {lmtp_port}\n"
            f"HOSTNAME = {hostname}\nSPOOL = {self.directory}/spool\n"
            f"LOGS = {self.directory}/log/\nMAILBOX = {self.directory}/mail/box\n"
            f".include {pieces}/example.conf\n", encoding="utf-8")
        self.config.chmod(0o644)

    def _readable_pieces(self):
        """A copy: Exim reads them as its own user, who may not enter the checkout."""
        pieces = self.directory / "stsgate"
        shutil.copytree(PIECES, pieces, dirs_exist_ok=True)
        for path in (pieces, *pieces.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        return pieces

    def _run(self, *arguments, stdin=b"", seconds=60, check=True):
        done = subprocess.run([EXIM, "-C", str(self.config), *arguments], input=stdin,
                              capture_output=True, timeout=seconds, check=False)
        if check and done.returncode:
            raise EximFailed(f"exim4 {arguments}: {done.stderr.decode('utf-8', 'replace')}")
        return done.stdout.decode("utf-8", "replace")

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

    def run_queue(self):
        """Try everything in the queue now, retry times or not."""
        self._run("-qff")

    def queue(self):
        """What `exim -bp` lists."""
        queued = []
        for line in self._run("-bp").splitlines():
            head = re.match(r"\s*\S+\s+\S+\s+(\S{6}-\S{6}-\S{2})\s+<(.*?)>(.*)", line)
            rcpt = re.match(r"\s+(D )?\s*(\S+@\S+)$", line)
            if head:
                queued.append(Queued(head.group(1), head.group(2), "frozen" in head.group(3)))
            elif rcpt and queued:
                done = queued[-1].delivered if rcpt.group(1) else queued[-1].waiting
                done.append(rcpt.group(2))
        return queued

    def waiting(self, message_id):
        """The recipients of one message that still wait; [] when it left the queue."""
        return [address for message in self.queue() if message.id == message_id
                for address in message.waiting]

    def mainlog(self, message_id=None):
        """The main log's lines, of one message or all."""
        path = self.directory / "log" / "mainlog"
        lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
        return [line for line in lines if message_id is None or message_id in line]

    def arrived(self):
        """Ids of the messages that local senders submitted."""
        return [match.group(1) for match in
                (re.search(r" (\S{6}-\S{6}-\S{2}) <= (?!<>)", line) for line in self.mainlog())
                if match]

    def mailbox(self):
        """What came in for this host: bounces."""
        path = self.directory / "mail" / "box"
        return path.read_text("utf-8", "replace") if path.exists() else ""
