# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A real OpenSMTPD in a root of its own, with the smtpd.conf that we ship."""

import pathlib
import shutil
import time

from . import namespace, processes, roots

PIECES = pathlib.Path(__file__).resolve().parents[2] / "opensmtpd"
PROGRAM = pathlib.PurePosixPath("/usr/local/libexec/stsgate-mda")
PACKAGES = ("opensmtpd",)
ADDRESS = "127.0.0.26"   # its SMTP server's
SOCKET = "/run/smtpd.sock"


class OpenSmtpdFailed(RuntimeError):
    """OpenSMTPD does not run, or does not come to rest."""


class OpenSmtpd:
    """One running OpenSMTPD; `changes` are replacements in the text of smtpd.conf."""

    def __init__(self, directory, shared=(), changes=(), hostname="out.stslab.example"):
        self.hostname = hostname
        namespace.add_address(ADDRESS + "/32")
        self.root = roots.Root(directory, PACKAGES, shared)
        self._prepare()
        text = (PIECES / "smtpd.conf").read_text("ascii")
        for old, new in (("listen on localhost", f"listen on {ADDRESS}"), *changes):
            assert old in text, old
            text = text.replace(old, new)
        self.root.write("/etc/smtpd.conf", text)
        self.start()

    def _prepare(self):
        """The work of the package's installation script."""
        root = self.root
        root.add_user("opensmtpd", 9401)
        root.add_user("opensmtpq", 9402)
        root.add_user("sender", 9303)
        root.run("chgrp", "opensmtpq", "/usr/sbin/smtpctl")
        root.run("chmod", "2755", "/usr/sbin/smtpctl")
        root.directory("/run/stsgate")
        root.directory(PROGRAM.parent)
        shutil.copy(PIECES / PROGRAM.name, root.inside(PROGRAM))
        root.directory("/var/mail", mode="1777")
        root.write("/etc/aliases", "")
        root.write("/etc/mailname", self.hostname + "\n")
        root.write("/etc/hosts", f"127.0.0.1 localhost\n{ADDRESS} {self.hostname}\n")

    def start(self):
        self.root.run("rm", "-f", SOCKET)
        self._process = self.root.start("/usr/sbin/smtpd", "-F")
        end = time.monotonic() + 20
        while not self.root.inside(SOCKET).is_socket():
            if self._process.poll() is not None or time.monotonic() > end:
                raise OpenSmtpdFailed("OpenSMTPD does not run:\n" + self.log_text())
            time.sleep(0.05)

    def kill(self):
        """SIGKILL to all of it; what starts again knows nothing of what was under way."""
        processes.kill_tree(self._process.pid)
        self._process.wait(10)
        self.start()

    def kill_program(self, name):
        """SIGKILL to what it runs for a message; gives how many there were."""
        return processes.kill_below(self._process.pid, name)

    def stop(self):
        self._process.terminate()
        self._process.wait(20)
        self.root.stop()

    def _queued(self):
        """By id, each envelope's recipient, how often it was tried, and its state."""
        rows = [row.split("|", 12) for row in self.root.run("smtpctl", "show", "queue").splitlines()]
        return {row[0]: (row[5], int(row[10]), row[11]) for row in rows if len(row) > 12}

    def settle(self, before=None, seconds=50):
        """Wait until all is delivered, or was tried since `before` and is deferred."""
        end, calm, before = time.monotonic() + seconds, 0, before or {}
        while calm < 3:
            if time.monotonic() > end:
                raise OpenSmtpdFailed("OpenSMTPD has not come to rest:\n" + self.log_text())
            time.sleep(0.1)
            busy = any(state != "pending" or tries <= before.get(key, (None, 0))[1]
                       for key, (_, tries, state) in self._queued().items())
            calm = 0 if busy else calm + 1

    def send(self, recipients, sender=None, content=b"Subject: hello\n\nGood day.\n",
             deliver=True):
        """Submit a message, and wait until it was tried; or deliver nothing until the next queue
        run."""
        if isinstance(recipients, str):
            recipients = [recipients]
        before = self._queued()
        if not deliver:
            self.root.run("smtpctl", "pause", "mda", check=False)
        sender = "sender@" + self.hostname if sender is None else sender
        self.root.run("sendmail", "-i", "-f", sender, "--", *recipients, stdin=content)
        if deliver:
            self.settle({key: (None, -1) for key in before})

    def run_queue(self):
        """Try everything in the queue now."""
        before = self._queued()
        self.root.run("smtpctl", "resume", "mda", check=False)
        self.root.run("smtpctl", "schedule", "all", check=False)
        self.settle(before)

    def aliases(self, text):
        self.root.write("/etc/aliases", text)
        self.root.run("smtpctl", "update", "table", "aliases")

    def waiting(self):
        """The recipients that still wait."""
        return [rcpt for rcpt, _, _ in self._queued().values()]

    def mailq(self):
        return self.root.run("smtpctl", "show", "queue", check=False)

    def empty(self):
        """Forget the queue."""
        self.root.run("smtpctl", "resume", "mda", check=False)
        self.root.run("smtpctl", "remove", "all", check=False)

    def log_text(self):
        return "\n".join(self.root.log)

    def mailbox(self):
        """Mail received for this host: bounces."""
        return self.root.read("/var/mail/sender")
