# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A real Sendmail in a root of its own, with the m4 files that we ship.

No daemon runs: messages are sent and the queue is run in the foreground.
"""

import pathlib
import re
import shutil
import subprocess

from . import pace, processes, roots

PIECES = pathlib.Path(__file__).resolve().parents[2] / "sendmail"
PACKAGES = ("sendmail-base", "sendmail-bin", "sendmail-cf")
SENDMAIL = "/usr/libexec/sendmail/sendmail"
CF = "/usr/share/sendmail/cf"
# What sendmailconfig does on a real system, and a mailbox. On a busy machine Sendmail would only queue.
LAB = """\
define(`confDOMAIN_NAME', `{hostname}')dnl
define(`confLOG_LEVEL', `9')dnl
define(`LOCAL_MAILER_PATH', `/usr/local/bin/mailbox')dnl
define(`LOCAL_MAILER_ARGS', `mailbox $u')dnl
define(`confQUEUE_LA', `10000')dnl
define(`confREFUSE_LA', `10000')dnl
define(`confDONT_PROBE_INTERFACES', `true')dnl
"""


class SendmailFailed(RuntimeError):
    """sendmail said no."""


class Sendmail:
    """One Sendmail; `mc` names one of our .mc files, `changes` are replacements in its text."""

    def __init__(self, directory, mc, shared=(), changes=(), hostname="out.stslab.example"):
        self.hostname = hostname
        self._running = set()   # process ids
        self.root = roots.Root(directory, PACKAGES, shared)
        self._prepare()
        for kind in ("mailer", "feature"):
            shutil.copytree(PIECES / kind, self.root.inside(f"{CF}/{kind}"), dirs_exist_ok=True)
        text = (PIECES / mc).read_text("ascii")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        head, mark, tail = text.partition("DOMAIN(`debian-mta')dnl\n")
        assert mark, text
        self.root.write("/etc/mail/sendmail.mc",
                        head + mark + LAB.format(hostname=hostname) + tail)
        self.configure()

    def _prepare(self):
        """The work of the packages' installation scripts."""
        root = self.root
        root.add_user("smmta", 9301)
        root.add_user("smmsp", 9302)
        root.add_user("sender", 9303)
        root.directory("/etc/mail")
        root.directory("/var/spool/mqueue", "smmta:smmsp", "2750")
        root.directory("/var/lib/sendmail", "smmta:smmsp", "2755")
        root.directory("/var/lib/sendmail/host_status", "root:smmsp", "2775")
        root.directory("/var/run/sendmail/mta", "smmta:smmsp", "2775")
        root.directory("/run/stsgate")
        root.directory("/var/mail", mode="1777")
        root.write("/etc/mail/aliases", "")
        root.write("/etc/mail/local-host-names", f"localhost\n{self.hostname}\n")
        root.write("/etc/hosts", f"127.0.0.1 localhost\n127.0.0.25 {self.hostname}\n")
        root.write("/usr/local/bin/mailbox", "#!/bin/sh\nexec cat >>/var/mail/box\n", 0o755)
        root.write("/var/mail/box", "", 0o666)

    def configure(self):
        """sendmail.cf from sendmail.mc."""
        text = self.root.run("m4", "/etc/mail/sendmail.mc")
        self.root.write("/etc/mail/sendmail.cf", text)
        self.root.run(SENDMAIL, "-bi", "-oA/etc/mail/aliases", check=False)

    def table(self, name, text):
        """A map such as mailertable."""
        self.root.write(f"/etc/mail/{name}", text)
        self.root.run("sh", "-c", f"/usr/libexec/sendmail/makemap hash /etc/mail/{name}.db"
                                  f" </etc/mail/{name}")

    def _run(self, *arguments, stdin=b"", seconds=60, check=True):
        process = self.root.start(SENDMAIL, "-Am", *arguments)
        self._running.add(process.pid)
        try:
            out, errors = process.communicate(stdin, timeout=pace.patience(seconds))
        except subprocess.TimeoutExpired:
            processes.kill_tree(process.pid)
            raise
        finally:
            self._running.discard(process.pid)
        text = (out + errors).decode("utf-8", "replace")
        if check and process.returncode:
            raise SendmailFailed(f"sendmail {arguments}: {process.returncode}: {text}")
        return text

    def kill(self):
        """SIGKILL to every Sendmail that is at work."""
        for pid in list(self._running):
            processes.kill_tree(pid)

    def send(self, recipients, sender=None, content=b"Subject: hello\n\nGood day.\n",
             deliver=True):
        """Submit a message and try it at once."""
        if isinstance(recipients, str):
            recipients = [recipients]
        # What cannot be delivered makes an exit status too.
        return self._run("-odi" if deliver else "-odq", "-oi", "-f",
                         sender or "sender@" + self.hostname, *recipients, stdin=content,
                         check=False)

    def run_queue(self):
        """Try everything in the queue now, hosts that have just failed as well."""
        self._run("-OTimeout.hoststatus=1s", "-OMinQueueAge=0", "-qf", check=False)

    def mailq(self):
        return self._run("-bp")

    def waiting(self):
        """The recipients that still wait."""
        return re.findall(r"^\s{5,}<?([^\s<>()]+@[^\s<>()]+)>?$", self.mailq(), re.MULTILINE)

    def empty(self):
        """Forget the queue and what Sendmail remembers of hosts."""
        for directory in ("/var/spool/mqueue", "/var/lib/sendmail/host_status"):
            for path in self.root.inside(directory).glob("*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def log_text(self):
        return "\n".join(self.root.log)

    def mailbox(self):
        """Mail received for this host: bounces."""
        return self.root.read("/var/mail/box")

    def stop(self):
        self.root.stop()
