# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A recipient domain of the lab with the attacker on the way to it.

Its MX record names a host whose address the attacker has; behind him stands
the real receiving server.  What a scenario does to a Place, calm() undoes.
"""

from . import middle, tlsa
from .forwarder import Forged
from .internet import Mx

EVIL = "mx.evil.example"    # the attacker's own host


class Place:
    """One domain; `policy` is an MTA-STS mode or None, `dane` publishes TLSA records."""

    def __init__(self, world, name, policy="enforce", dane=False, behind=None):
        net, self.world, self.name = world.net, world, name
        self.mx = "mx." + name
        self.policy, self.dane = policy, dane
        self.domain = net.domain(name=name, policy=policy, policy_id="20261122T0600",
                                 mx=(Mx(name=self.mx, down=True),))
        # Answers that are soon forgotten, so that an attack can begin at any time.
        net.zones.replace(name, "MX", f"10 {self.mx}.", ttl=1)
        net.zones.add("_smtp._tls." + name, "TXT",
                      f'"v=TLSRPTv1; rua=mailto:tls-reports@{name}"', ttl=1)
        address = self.domain.host.address
        world.receiver.certificate(self.mx)
        if dane:
            net.zones.add(tlsa.at(self.mx), "TLSA", tlsa.of(self.domain.host, "3 1 1"), ttl=1)
        self.host = (behind or self._middle)(net.authorities, self.mx, address).start()
        self.watched = [self.host, world.evil]

    def _middle(self, authorities, name, address):
        return middle.Middle(authorities, name, address, (self.world.receiver.address, 25))

    def recipient(self, local="alice"):
        return f"{local}@{self.name}"

    def prime(self):
        """The policy has been seen before the attack begins."""
        self.world.daemon.ask("cache", "refresh", self.name, seconds=60)

    def forge_mx(self):
        self.world.net.dns.fault(self.name, "MX", Forged(f"1 {EVIL}.", ttl=1))

    def block_policy_host(self):
        self.domain.site.manner = "reset"

    def hide_txt(self):
        self.world.net.dns.fault("_mta-sts." + self.name, "TXT", "empty")

    def forge_txt(self):
        self.world.net.dns.fault("_mta-sts." + self.name, "TXT",
                                 Forged('"v=STSv1; id=19700101;"', ttl=1))

    def list_other_mx(self):
        """The administrator forgot the new MX host in his policy."""
        self.domain.set_policy(self.policy, ["old-mx." + self.name])

    def let_certificate_expire(self):
        self.world.receiver.certificate(self.mx, "expired")

    def calm(self):
        """Everything honest again."""
        self.host.manner = middle.Manner()
        for name in (self.name, "_mta-sts." + self.name):
            self.world.net.dns.heal(name)
        self.world.receiver.certificate(self.mx)
        if self.policy is not None:
            self.domain.site.manner = ""
            self.domain.set_policy(self.policy)

    def stop(self):
        self.host.stop()
