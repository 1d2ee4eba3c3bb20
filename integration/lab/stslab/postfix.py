# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A real Postfix in a root of its own, as Debian sets it up (chroot and all), with our settings."""

import json
import pathlib
import re
import time

from . import namespace, pace, processes, roots

PIECES = pathlib.Path(__file__).resolve().parents[2] / "postfix"
ADDRESS = "127.0.0.25"   # its SMTP server's
QUEUE = "/var/spool/postfix"
LAB = f"""
myhostname = {{hostname}}
mydestination = {{hostname}}, localhost
mynetworks = 127.0.0.0/8
inet_interfaces = {ADDRESS}
inet_protocols = ipv4
alias_maps =
mailbox_command =
mail_spool_directory = /var/mail
queue_run_delay = 3600s
"""


class PostfixFailed(RuntimeError):
    """Postfix does not run, or does not come to rest."""


class Postfix:
    """One running Postfix; `pieces` names files of ours that are appended to main.cf,
    `resolver` is the name server that it asks."""

    def __init__(self, directory, pieces, shared=(), changes=(), master="", settings="",
                 smtpd=False, hostname="out.stslab.example", resolver=None):
        self.hostname = hostname
        namespace.add_address(ADDRESS + "/32")
        self.root = roots.Root(directory, ("postfix",), shared)
        if resolver is not None:
            self.root.write("/etc/resolv.conf", f"nameserver {resolver}\n")
        self._prepare()
        text = self.root.read("/usr/share/postfix/main.cf.debian") + LAB.format(hostname=hostname)
        text += "".join((PIECES / name).read_text("ascii") for name in pieces) + settings
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        self.root.write("/etc/postfix/main.cf", text)
        self.root.write("/etc/postfix/master.cf",
                        self._services(smtpd) + master)
        self.start()

    def _prepare(self):
        """The work of the package's installation script."""
        root = self.root
        root.add_user("postfix", 9201, groups=(("postdrop", 9202),))
        root.add_user("sender", 9303)
        root.directory("/var/lib/postfix", "postfix:postfix")
        root.directory("/run/stsgate")
        root.directory("/var/mail", mode="1777")
        root.directory(f"{QUEUE}/stsgate")
        for name, owner, mode in (
                ("active", "postfix:root", "0700"), ("bounce", "postfix:root", "0700"),
                ("corrupt", "postfix:root", "0700"), ("defer", "postfix:root", "0700"),
                ("deferred", "postfix:root", "0700"), ("flush", "postfix:root", "0700"),
                ("hold", "postfix:root", "0700"), ("incoming", "postfix:root", "0700"),
                ("private", "postfix:root", "0700"), ("saved", "postfix:root", "0700"),
                ("trace", "postfix:root", "0700"), ("pid", "root:root", "0755"),
                ("maildrop", "postfix:postdrop", "1730"), ("public", "postfix:postdrop", "2710")):
            root.directory(f"{QUEUE}/{name}", owner, mode)
        for program in ("postdrop", "postqueue"):
            root.run("chgrp", "postdrop", f"/usr/sbin/{program}")
            root.run("chmod", "2755", f"/usr/sbin/{program}")
        root.write("/etc/postfix/dynamicmaps.cf", root.read("/usr/share/postfix/dynamicmaps.cf"))
        root.write("/etc/mailname", self.hostname + "\n")
        root.write("/etc/hosts", f"127.0.0.1 localhost\n{ADDRESS} {self.hostname}\n")

    def _services(self, smtpd):
        """Debian's master.cf; only one Postfix of a lab can have the SMTP server."""
        services = self.root.read("/usr/share/postfix/master.cf.dist")
        return services if smtpd else services.replace("\nsmtp      inet", "\n#smtp      inet")

    def start(self):
        # Where Debian's init script does not call it, "postfix start" does so by itself.
        if "configure-instance" in self.root.read("/etc/init.d/postfix"):
            self.root.run("/usr/lib/postfix/configure-instance.sh", "-")
        self.root.run("postfix", "start", seconds=50)
        self._runs = True

    def kill(self):
        """SIGKILL to master and all its children; what starts again knows nothing of them."""
        pid = int(self.root.read(f"{QUEUE}/pid/master.pid"))
        processes.kill_tree(pid)
        self.start()

    def restart(self):
        self.root.run("postfix", "stop", seconds=50)
        self.start()

    def stop(self):
        self.root.run("postfix", "abort", seconds=50, check=False)
        self.root.stop()

    def _queued(self):
        lines = self.root.run("postqueue", "-j").splitlines()
        return [json.loads(line) for line in lines if line]

    def settle(self, seconds=50):
        """Wait until nothing is under way: all is delivered or deferred."""
        end, calm = time.monotonic() + pace.patience(seconds), 0
        while calm < 2:
            if time.monotonic() > end:
                raise PostfixFailed("Postfix has not come to rest:\n" + self.log_text())
            time.sleep(0.1)
            busy = any(message["queue_name"] != "deferred" for message in self._queued())
            busy = busy or any(self.root.inside(f"{QUEUE}/maildrop").iterdir())
            calm = 0 if busy else calm + 1

    def send(self, recipients, sender=None, content=b"Subject: hello\n\nGood day.\n",
             deliver=True):
        """Submit a message, and wait until it was tried; or stop Postfix until the next queue run."""
        if isinstance(recipients, str):
            recipients = [recipients]
        if not deliver and self._runs:
            self.root.run("postfix", "abort", seconds=50)
            self._runs = False
        self.root.run("sendmail", "-i", "-f", sender or "sender@" + self.hostname, *recipients,
                      stdin=content)
        if deliver:
            self.settle()

    def run_queue(self):
        """Try everything in the queue now."""
        if self._runs:
            waiting = [message["queue_id"] for message in self._queued()]
            logged = len(self.root.log)
            self.root.run("postqueue", "-f")
            self._wait_tried(waiting, logged)
        else:
            self.start()
        self.settle()

    def _wait_tried(self, waiting, logged, seconds=50):
        """Waits until the log, after its first `logged` lines, has the result of each message."""
        end = time.monotonic() + pace.patience(seconds)
        while waiting:
            if time.monotonic() > end:
                raise PostfixFailed("Postfix has not tried its queue:\n" + self.log_text())
            time.sleep(0.02)
            tried = "\n".join(self.root.log[logged:])
            waiting = [name for name in waiting if not re.search(rf" {name}: (to=|removed)", tried)]

    def waiting(self):
        """The recipients that still wait."""
        return [rcpt["address"] for message in self._queued() for rcpt in message["recipients"]]

    def mailq(self):
        return self.root.run("mailq", check=False)

    def empty(self):
        """Forget the queue, and what the queue manager knows of destinations that fail."""
        self.root.run("postsuper", "-d", "ALL", check=False)

    def log_text(self):
        return "\n".join(self.root.log)

    def mailbox(self):
        """Mail received for this host: bounces."""
        return self.root.read("/var/mail/sender")
