# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Every way to hand mail to stsgated: an MTA with the files that we ship, and its daemon.

MTAs all have send(), run_queue(), waiting(), mailq(), log_text(), mailbox(),
kill() and empty(); what differs between them stays in stslab.
"""

import shutil
from dataclasses import dataclass

from stslab import forwarder, programs
from stslab.exim import Exim
from stslab.opensmtpd import OpenSmtpd
from stslab.postfix import PIECES, Postfix
from stslab.sendmail import Sendmail

HAND_OVER = ["exim-lmtp", "exim-socket", "exim-command", "exim-pipe", "sendmail-stsgate",
             "sendmail-stsgateunix", "sendmail-stsgateprog", "postfix-inet", "postfix-unix",
             "postfix-pipe", "opensmtpd-mda"]
QUICK = {"smtp": {"host-retry": "1s", "command-timeout": "20s", "data-timeout": "20s",
                  "final-timeout": "20s"}}


@dataclass
class Site:
    """One MTA and the stsgated that it hands its mail to."""

    name: str
    mta: object
    daemon: object
    port: int = None    # where the daemon speaks LMTP over TCP, if it does

    def back_to_work(self):
        """After a story that ended stsgated."""
        if self.daemon.process is None:
            self.daemon.start()
        self.mta.empty()


class Ways:
    """Makes each site when it is first used."""

    def __init__(self, net):
        self.net = net
        self._sites = {}
        self._servers = []
        self._validating = None
        self._port = 2424

    def get(self, name):
        if name not in self._sites:
            make = getattr(self, "_" + name.partition("-")[0])
            self._sites[name] = make(name, name.partition("-")[2])
        return self._sites[name]

    def stop(self):
        for site in self._sites.values():
            site.mta.stop()
            assert site.daemon.stop() == 0, site.daemon.log_text()
        for server in self._servers:
            server.stop()

    def _exim(self, name, way):
        directory = self.net.directory / name
        directory.mkdir()
        port, self._port = self._port, self._port + 1
        lmtp = {"listen": [f"inet:127.0.0.1:{port}", f"unix:{directory}/lmtp.sock"],
                "socket-group": "Debian-exim"}
        if way == "socket":
            lmtp["reply-length"] = 250
        daemon = self.net.daemons.make({**QUICK, "lmtp": lmtp})
        program = directory / "stsgate-deliver"
        shutil.copy(programs.find("stsgate-deliver"), program)
        exim = Exim(directory, port, macros={
            "STSGATE_TRANSPORT": "stsgate_" + way, "STSGATE_DELIVER": program,
            "STSGATE_SOCKET": f"{directory}/lmtp.sock"})
        return Site(name, exim, daemon.start(), port)

    def _root(self, name):
        """Where an MTA's root goes: a short path, for the sake of Unix sockets."""
        return self.net.directory / name

    def _deliver_program(self, root):
        program = root.inside("/usr/sbin/stsgate-deliver")
        shutil.copy(programs.find("stsgate-deliver"), program)
        program.chmod(0o755)

    def _daemon(self, listeners):
        return self.net.daemons.start({**QUICK, "lmtp": {
            "listen": listeners, "socket-mode": "0666"}})

    def _sendmail(self, name, mailer):
        """By SMART_HOST the first way, by mailertable the others."""
        port, self._port = self._port, self._port + 1
        changes = [("MAILER(`stsgate')", f"define(`STSGATE_MAILER_PORT', `{port}')dnl\n"
                                         "MAILER(`stsgate')")]
        if mailer != "stsgate":
            changes += [("define(`SMART_HOST'", "dnl define(`SMART_HOST'"),
                        ("dnl FEATURE(`mailertable'", "FEATURE(`mailertable'")]
        mta = Sendmail(self._root(name), "sendmail-lmtp.mc", changes=changes)
        mta.table("mailertable", f".\t{mailer}:localhost\n")
        self._deliver_program(mta.root)
        daemon = self._daemon([f"inet:127.0.0.1:{port}",
                               f"unix:{mta.root.inside('/run/stsgate/lmtp.sock')}"])
        return Site(name, mta, daemon, port)

    def _postfix(self, name, way):
        port, self._port = self._port, self._port + 1
        changes = [("inet:127.0.0.1:2424", f"inet:127.0.0.1:{port}")]
        master, settings, socket = "", "", "/var/spool/postfix/stsgate/lmtp.sock"
        if way == "unix":
            changes += [("\ndefault_transport", "\n#default_transport"),
                        ("\n#default_transport = lmtp:unix", "\ndefault_transport = lmtp:unix")]
        elif way == "pipe":
            master = (PIECES / "master.cf.pipe").read_text("ascii")
            lines = [line[4:] for line in master.splitlines() if line.startswith("#   ")]
            settings, socket = "\n".join(lines) + "\n", "/run/stsgate/lmtp.sock"
        mta = Postfix(self._root(name), ["main.cf.lmtp"], changes=changes, master=master,
                      settings=settings)
        self._deliver_program(mta.root)
        daemon = self._daemon([f"inet:127.0.0.1:{port}", f"unix:{mta.root.inside(socket)}"])
        return Site(name, mta, daemon, port)

    def _opensmtpd(self, name, _):
        mta = OpenSmtpd(self._root(name))
        self._deliver_program(mta.root)
        return Site(name, mta, self._daemon([f"unix:{mta.root.inside('/run/stsgate/lmtp.sock')}"]))

    # MTAs that deliver by themselves and ask the policy map.

    def policy(self, name):
        if "policy-" + name not in self._sites:
            self._sites["policy-" + name] = getattr(self, "_policy_" + name)()
        return self._sites["policy-" + name]

    def _map(self, listener, dane="mta"):
        return self.net.daemons.start({**QUICK, "policy-map": {"listen": [listener], "dane": dane}})

    def _validator(self):
        """The validating resolver of the MTAs that do DANE by themselves."""
        if self._validating is None:
            self._validating = forwarder.Validator()
            self._validating.start()
            self._servers.append(self._validating)
        return self._validating.address

    def _policy_exim(self, name="policy-exim", resolver=None):
        directory = self.net.directory / name
        directory.mkdir()
        exim = Exim(directory, 0, resolver=resolver, macros={
            "STSGATE_POLICY_MAP": "yes", "STSGATE_MAP_SOCKET": f"{directory}/policy.sock",
            "STSGATE_TRUST": self.net.authorities.ca_file, "STSGATE_IGNORE_HOSTS": ""})
        return Site(name, exim, self._map(f"unix:{directory}/policy.sock"))

    def _policy_exim_validating(self):
        """Its resolver validates, so that it can do DANE."""
        return self._policy_exim("policy-exim-validating", self._validator())

    def _policy_sendmail(self, name="policy-sendmail", changes=()):
        mta = Sendmail(self._root(name), "sendmail-policy.mc", changes=[
            ("/etc/ssl/certs/ca-certificates.crt", "/etc/mail/lab-ca.pem"), *changes])
        mta.root.write("/etc/mail/lab-ca.pem", open(self.net.authorities.ca_file).read())
        return Site(name, mta, self._map(f"unix:{mta.root.inside('/run/stsgate/policy.sock')}"))

    def _policy_sendmail_plain(self):
        """With the feature of Sendmail's own, in place of ours."""
        return self._policy_sendmail("policy-sendmail_plain", [(
            "FEATURE(`stsgate_sts')",
            "FEATURE(`sts', `socket -d5 -T<TMPF> local:/run/stsgate/policy.sock')")])

    def _policy_postfix(self):
        """As Debian runs it, in its chroot, by the Unix socket; its resolver validates."""
        mta = Postfix(self._root("policy-postfix"), ["main.cf.policy"], changes=[
            ("\nsmtp_tls_policy_maps = socketmap:inet", "\n#smtp_tls_policy_maps = socketmap:inet"),
            ("\n#smtp_tls_policy_maps = socketmap:unix", "\nsmtp_tls_policy_maps = socketmap:unix"),
            ("/etc/ssl/certs/ca-certificates.crt", "/etc/postfix/lab-ca.pem")],
            resolver=self._validator())
        mta.root.write("/etc/postfix/lab-ca.pem", open(self.net.authorities.ca_file).read())
        socket = mta.root.inside("/var/spool/postfix/stsgate/policy.sock")
        return Site("policy-postfix", mta, self._map(f"unix:{socket}"))
