# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The real receiving mail server behind the attacker: an Exim daemon for every domain of the lab.

It shows the certificate of the name that it is asked for (SNI) and puts what
it takes into one mailbox.
"""

import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

from . import exim, pace

NAME = "receiver.example"
CONFIG = """\
primary_hostname = {name}
spool_directory = {directory}/spool
log_file_path = {directory}/log/%slog
local_interfaces = {address}
daemon_smtp_ports = 25
acl_smtp_rcpt = accept
acl_smtp_data = accept
chunking_advertise_hosts =
dsn_advertise_hosts =
tls_advertise_hosts = *
tls_certificate = ${{lookup {{$tls_in_sni.pem}} dsearch,ret=full {{{directory}/certs}} \
{{$value}} {{{directory}/certs/default.pem}}}}
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
never_users =
log_selector = +tls_cipher +tls_sni +received_recipients
begin acl
begin routers
mailbox:
  driver = accept
  transport = mailbox
begin transports
mailbox:
  driver = appendfile
  file = {directory}/mail/box
  user = Debian-exim
  group = Debian-exim
begin retry
* * F,1h,1m
"""


class Receiver:
    """One Exim daemon at one address."""

    def __init__(self, directory, authorities, address="127.0.1.25"):
        self.directory = pathlib.Path(directory)
        self.address = address
        self._authorities = authorities
        self.process = None
        owner = pwd.getpwnam(exim.OWNER)
        for name in ("spool", "log", "mail", "certs"):
            path = self.directory / name
            path.mkdir(parents=True, exist_ok=True)
            os.chown(path, owner.pw_uid, owner.pw_gid)
        self.config = self.directory / "exim4.conf"
        self.config.write_text(CONFIG.format(name=NAME, address=address,
                                             directory=self.directory), encoding="ascii")
        self.config.chmod(0o644)
        self._install("default", authorities.kind("good", NAME).path)

    def _install(self, name, path):
        target = self.directory / "certs" / f"{name}.pem"
        shutil.copy(path, target)
        target.chmod(0o644)

    def certificate(self, name, kind="good"):
        """The certificate for clients that send `name` as SNI; returns its path."""
        path = self._authorities.kind(kind, name).path
        self._install(name, path)
        return path

    def start(self, seconds=30):
        self.process = subprocess.Popen([exim.EXIM, "-C", str(self.config), "-bdf", "-odi"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        end = time.monotonic() + pace.patience(seconds)
        while True:
            try:
                socket.create_connection((self.address, 25), 2).close()
                return self
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise exim.EximFailed("the receiving Exim does not start") from None
                time.sleep(0.02)

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(pace.patience(10))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(pace.patience(10))
            self.process = None

    def arrivals(self):
        """The log lines of what it has taken."""
        path = self.directory / "log" / "mainlog"
        lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
        return [line for line in lines if " <= " in line]

    def mailbox(self):
        path = self.directory / "mail" / "box"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def got(self, text, seconds=0):
        """How a message with `text` in it arrived: "tls", "clear", or "" when none did."""
        end = time.monotonic() + pace.patience(seconds)
        while text not in self.mailbox():
            if time.monotonic() > end:
                return ""
            time.sleep(0.02)
        message = next(part for part in self.mailbox().split("\n\nFrom ") if text in part)
        return "tls" if re.search(r"with esmtps", message) else "clear"
