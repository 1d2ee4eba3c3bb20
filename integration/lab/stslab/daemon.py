# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Runs stsgated: writes its configuration, starts it, reads its log, ends it.

A configuration is a dict as of stsgate.conf: a dict is a section, a pair as
key is a section with a title.  lab_settings() is what a daemon in the lab
needs; a test lays its own on top.
"""

import itertools
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import time

from . import forwarder, lmtp, pace, programs, sanitizer

USER = "nobody"
_FIELD = re.compile(r'([A-Za-z][\w-]*)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')


class DaemonFailed(RuntimeError):
    """stsgated did not start, or did not end as it should."""


def render(settings, depth=0):
    """The text of a configuration file."""
    pad = "  " * depth
    lines = []
    for key, value in settings.items():
        if isinstance(value, dict):
            title = f'{key[0]} "{key[1]}"' if isinstance(key, tuple) else key
            lines += [f"{pad}{title} {{", render(value, depth + 1).rstrip("\n"), pad + "}"]
        else:
            lines.append(f"{pad}{key} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(_value(item) for item in value) + "}"
    return f'"{value}"'


def merged(base, changes):
    """`base` with `changes` laid over it, section by section."""
    result = dict(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            value = merged(result[key], value)
        result[key] = value
    return result


def lab_settings(directory, ca_file, trust_anchor):
    """Loopback allowed as MX, short waits, everything below `directory`."""
    return {
        "hostname": "out.stslab.example",
        "user": USER,
        "state-directory": f"{directory}/state",
        "spool-directory": f"{directory}/spool",
        "log": "stderr",
        "lmtp": {"listen": [f"unix:{directory}/run/lmtp.sock"]},
        "policy-map": {"listen": [f"unix:{directory}/run/policy.sock"]},
        "control": {"listen": [f"unix:{directory}/run/control.sock"]},
        "dns": {
            "mode": "forward",
            "servers": [forwarder.ADDRESS],
            "trust-anchor": [trust_anchor],
            "timeout": "3s",
            "private-addresses": "allow",
        },
        "smtp": {"connect-timeout": "2s", "command-timeout": "3s", "data-timeout": "3s",
                 "final-timeout": "4s"},
        "tls": {"ca-file": ca_file},
        "sts": {"fetch-timeout": "3s"},
    }


def log_fields(line):
    """The fields of one logfmt line; unquoted, \\xNN and \\" undone."""
    return {match.group(1): _unquoted(match.group(2)) if match.group(2) is not None
            else match.group(3) for match in _FIELD.finditer(line)}


def _unquoted(text):
    return re.sub(r"\\(x([0-9a-fA-F]{2})|.)",
                  lambda match: chr(int(match.group(2), 16)) if match.group(2)
                  else match.group(1), text)


class Stsgated:
    """One stsgated with its own directory; the directory outlives a restart."""

    def __init__(self, directory, settings, user=USER):
        self.directory = pathlib.Path(directory)
        self.settings = settings
        self.config = self.directory / "stsgate.conf"
        self.log_path = self.directory / "stsgated.log"
        self.process = None
        self.user = user
        self.stderr = sanitizer.Reader(self.log_path)
        self._prepare()

    def _prepare(self):
        for name in ("state", "spool", "run"):
            path = self.directory / name
            path.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:
                account = pwd.getpwnam(self.user)
                os.chown(path, account.pw_uid, account.pw_gid)
        self._write_config()

    def _write_config(self):
        """At one stroke: half a file would be read as one with the defaults for the rest."""
        new = self.config.with_suffix(".new")
        new.write_text(render(self.settings), encoding="utf-8")
        new.replace(self.config)

    @property
    def lmtp(self):
        """Where it speaks LMTP: the first listener."""
        return self.settings["lmtp"]["listen"][0]

    def reconfigure(self, changes):
        """New settings for the next start."""
        self.settings = merged(self.settings, changes)
        self._write_config()

    def reload(self, changes=None, seconds=30):
        """SIGHUP with new settings; gives what was logged about it, once it is over."""
        if changes is not None:
            self.reconfigure(changes)
        before = len(self.log("reload"))
        self.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + pace.patience(seconds)
        while not any(re.search("in force|stays as it was:", line["msg"])
                      for line in self.log("reload")[before:]):
            if time.monotonic() > end:
                raise DaemonFailed("SIGHUP has not been obeyed:\n" + self.log_text())
            time.sleep(0.02)
        return [line["msg"] for line in self.log("reload")[before:]]

    def start(self, seconds=20, prefix=()):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*prefix, programs.find("stsgated"), "-c", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        end = time.monotonic() + pace.patience(seconds)
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                status = self.process.poll()
                self.kill()
                raise DaemonFailed(f"stsgated is not up, status {status}:\n{self.log_text()}")
            time.sleep(0.02)
        return self

    def _answers(self):
        try:
            with lmtp.Client(self.lmtp, 2) as client:
                client.send(b"QUIT\r\n")
                return client.greeting.code == 220
        except (OSError, lmtp.Hangup):
            return False

    def stop(self, seconds=15):
        """SIGTERM and wait; gives the exit status, which should be 0."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(pace.patience(seconds))
        except subprocess.TimeoutExpired:
            self.kill()
            raise DaemonFailed(f"stsgated did not end in {seconds} s after SIGTERM:\n"
                               + self.log_text()) from None
        self.process = None
        return status

    def kill(self):
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(pace.patience(10))
            self.process = None

    def restart(self):
        status = self.stop()
        if status != 0:
            raise DaemonFailed(f"stsgated ended with {status}:\n{self.log_text()}")
        return self.start()

    def deliver(self, recipients, **options):
        """Hand it one message over LMTP; gives an lmtp.Result."""
        return lmtp.deliver(self.lmtp, recipients, **options)

    def client(self, **options):
        return lmtp.Client(self.lmtp, **options)

    def ask(self, *words, seconds=30):
        """Run stsgate(1) against this daemon."""
        return programs.run("stsgate", "-c", str(self.config), *words, seconds=seconds)

    def log_text(self):
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def log(self, event=None, **fields):
        """The log lines as dicts; those of `event` whose fields are as given."""
        wanted = {key.replace("_", "-"): value for key, value in fields.items()}
        if event:
            wanted["event"] = event
        lines = map(log_fields, self.log_text().splitlines())
        return [line for line in lines
                if all(line.get(key) == value for key, value in wanted.items())]

    def wait_log(self, event=None, seconds=5, **fields):
        """log(), waiting until there is at least one such line."""
        end = time.monotonic() + pace.patience(seconds)
        while True:
            lines = self.log(event, **fields)
            if lines or time.monotonic() > end:
                return lines
            time.sleep(0.02)

    def memory_kib(self):
        """Resident memory."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def open_files(self):
        """Where its descriptors point."""
        paths = []
        for descriptor in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                paths.append(os.readlink(descriptor))
            except FileNotFoundError:
                continue
        return paths


class Daemons:
    """Makes daemons below one directory and ends them all."""

    def __init__(self, directory, ca_file, trust_anchor):
        self.directory = pathlib.Path(directory)
        self.ca_file, self.trust_anchor = ca_file, trust_anchor
        self._count = itertools.count(1)
        self._made = []
        self._complaints = []

    def make(self, settings=None):
        """A daemon, not yet started, with lab_settings() and `settings` over them."""
        directory = self.directory / f"stsgated-{next(self._count)}"
        base = lab_settings(directory, self.ca_file, self.trust_anchor)
        daemon = Stsgated(directory, merged(base, settings or {}))
        self._made.append(daemon)
        return daemon

    def start(self, settings=None):
        return self.make(settings).start()

    def discard(self, daemon):
        """End one and forget its directory; gives its exit status."""
        status = daemon.stop() if daemon.process else 0
        self._complaints.append(daemon.stderr.complaint())
        self._made.remove(daemon)
        shutil.rmtree(daemon.directory, ignore_errors=True)
        return status

    def complaints(self):
        """The sanitizer reports of all of them since the last call."""
        found = self._complaints + [daemon.stderr.complaint() for daemon in self._made]
        self._complaints = []
        return "\n".join(filter(None, found))

    def stop(self):
        for daemon in self._made:
            daemon.kill()
        self._made = []
