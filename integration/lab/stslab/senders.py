# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The sending MTAs, each by itself and with stsgate behind it.

By itself means as Debian sets it up: it asks an ordinary resolver for the MX
host, takes TLS where it is offered, whatever the certificate, and goes without
where it is not.  With stsgate it has the files that we ship.
"""

import re
import subprocess

from . import roots
from .exim import EXIM, Exim
from .sendmail import PACKAGES, SENDMAIL, Sendmail

HOSTNAME = "out.stslab.example"
LMTP_PORT = 2424
# What Debian's exim4 makes of "internet site", without what has to do with other things.
ALONE = """\
primary_hostname = {hostname}
spool_directory = {directory}/spool
log_file_path = {directory}/log/%slog
domainlist local_domains = @ : localhost
host_lookup =
keep_environment =
never_users =
log_selector = +smtp_confirmation +tls_cipher +outgoing_port
begin routers
dnslookup:
  driver = dnslookup
  domains = ! +local_domains
  transport = remote_smtp
  # Everybody in the lab has an address of this machine.
  self = send
  no_more
local:
  driver = accept
  transport = mailbox
begin transports
remote_smtp:
  driver = smtp
  multi_domain
mailbox:
  driver = appendfile
  file = {directory}/mail/box
  user = Debian-exim
  group = Debian-exim
begin retry
* * F,2h,1m; F,5d,30m
"""


class EximSender:
    """Exim with or without stsgate; send() gives the lines of its log about the message."""

    name = "Exim"

    def __init__(self, directory, guarded):
        self.mta = Exim(directory, LMTP_PORT, hostname=HOSTNAME)
        self.guarded = guarded
        if not guarded:
            self.mta.config.write_text(ALONE.format(hostname=HOSTNAME, directory=directory),
                                       encoding="ascii")

    @staticmethod
    def version():
        done = subprocess.run([EXIM, "-bV"], capture_output=True, text=True, check=False,
                              timeout=20)
        return re.search(r"version (\S+)", done.stdout).group(1)

    def send(self, recipient, content):
        message = self.mta.send(recipient, content=content)
        return [line[20:] for line in self.mta.mainlog(message)]

    def waiting(self):
        return self.mta.waiting()

    def empty(self):
        self.mta.empty()

    def stop(self):
        self.mta.stop()


class SendmailSender:
    """The same with Sendmail, which lives in a root directory of its own."""

    name = "Sendmail"

    def __init__(self, directory, guarded):
        # Without the smart host it looks up the MX host itself.
        changes = () if guarded else [("define(`SMART_HOST', `stsgate:[127.0.0.1]')dnl", "dnl")]
        self.mta = Sendmail(directory, "sendmail-lmtp.mc", changes=changes, hostname=HOSTNAME)
        self.guarded = guarded

    def version(self):
        text = self.mta.root.run(SENDMAIL, "-d0.1", "-bt", check=False)
        found = re.search(r"Version (\S+)", text)
        return found.group(1) if found else ""

    def send(self, recipient, content):
        before = len(self.mta.root.log)
        self.mta.send(recipient, content=content)
        return [re.sub(r"^\w+ +\d+ [\d:]+ ", "", line) for line in self.mta.root.log[before:]]

    def waiting(self):
        return self.mta.waiting()

    def empty(self):
        self.mta.empty()

    def stop(self):
        self.mta.stop()


MAKERS = {"exim": EximSender, "sendmail": SendmailSender}


def available():
    """The names of those whose packages are here."""
    return [name for name in MAKERS if name != "sendmail" or roots.present(PACKAGES)]


class Senders:
    """Makes each sender when it is first asked for."""

    def __init__(self, directory):
        self.directory = directory
        self._made = {}

    def get(self, name, guarded):
        key = (name, guarded)
        if key not in self._made:
            path = self.directory / f"{name}-{'stsgate' if guarded else 'alone'}"
            self._made[key] = MAKERS[name](path, guarded)
        return self._made[key]

    def versions(self):
        """Name -> version of those that were made."""
        return {sender.name: sender.version() for sender in self._made.values()}

    def stop(self):
        for sender in self._made.values():
            sender.stop()
