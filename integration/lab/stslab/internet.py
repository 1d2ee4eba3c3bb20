# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The private mail Internet, put together.

    with Internet() as net:
        good = net.domain(policy="enforce")
        daemon = net.daemons.start()
        daemon.deliver("someone@" + good.name)
        good.hosts[0].messages

domain() publishes a recipient domain: MX and address records, MX hosts, the
`_mta-sts` record and the policy.  Names are never used twice.
"""

import itertools
import os
import pathlib
import shutil
import tempfile
from dataclasses import dataclass, field

from . import ca, daemon, forwarder, mx, namespace, policyhost, zones


@dataclass
class Mx:
    """One MX record and the host behind it.

    `family` is loopback, public4, ipv6 or public6, or a tuple for a host with
    several addresses; `down` leaves the address without a listener.
    """

    preference: int = 10
    behaviour: mx.Behaviour = None
    name: str = None
    family: object = "loopback"
    down: bool = False


@dataclass
class Domain:
    """A published recipient domain."""

    net: object
    name: str
    hosts: list = field(default_factory=list)
    site: policyhost.Site = None

    @property
    def host(self):
        """The only, or first, MX host."""
        return self.hosts[0]

    @property
    def sts_host(self):
        return "mta-sts." + self.name

    def set_id(self, policy_id, ttl=1):
        """Publish another policy id."""
        self.net.zones.replace("_mta-sts." + self.name, "TXT",
                               f'"v=STSv1; id={policy_id};"', ttl=ttl)

    def set_txt(self, *texts, ttl=1):
        """Publish just these TXT strings at _mta-sts."""
        self.net.zones.replace("_mta-sts." + self.name, "TXT", *texts, ttl=ttl)

    def set_policy(self, mode="enforce", patterns=None, max_age=86400):
        """Publish another policy text under the same id."""
        patterns = [host.name for host in self.hosts] if patterns is None else patterns
        self.site.body = policyhost.policy_text(mode, patterns, max_age).encode()

    def fetches(self):
        """Requests for the policy so far."""
        return self.net.policy_host.requests(self.sts_host)

    def messages(self):
        return [message for host in self.hosts for message in host.messages]


class Internet:
    """Everything but the MTA and stsgated; a context manager."""

    def __init__(self, directory=None, negative_ttl=0):
        namespace.require_private()
        self._own = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="stslab-"))
        os.chmod(self.directory, 0o755)
        for name in ("ca", "zones"):
            (self.directory / name).mkdir(exist_ok=True)
        self.addresses = namespace.Addresses()
        self.authorities = ca.Authorities(self.directory / "ca")
        self.zones = zones.Zones(self.directory / "zones", negative_ttl)
        self.dns = forwarder.Forwarder()
        self.policy_host = policyhost.PolicyHost(self.authorities)
        self.daemons = daemon.Daemons(self.directory, self.authorities.ca_file,
                                      self.zones.trust_anchor)
        self._count = itertools.count(1)
        self._hosts = []

    def __enter__(self):
        try:
            self.zones.start()
            self.dns.start()
            self.policy_host.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.daemons.stop()
        for host in self._hosts:
            host.stop()
        for server in (self.policy_host, self.dns, self.zones):
            try:
                server.stop()
            except AttributeError:
                pass  # never started
        if self._own:
            shutil.rmtree(self.directory, ignore_errors=True)

    def fresh_name(self, zone="example"):
        """A domain name never used before."""
        return f"d{next(self._count)}.{zone}"

    def mx_host(self, name, behaviour=None, address=None, port=25):
        """An MX host without any DNS."""
        host = mx.MxHost(self.authorities, name, address or self.addresses.loopback(),
                         behaviour, port)
        self._hosts.append(host)
        return host.start()

    def domain(self, policy=None, mx=(Mx(),), name=None, zone="example", patterns=None,
               policy_id="20261122", max_age=86400, txt=None, behaviour=None):
        """Publish a domain.

        `policy` is a mode, a whole policy text in octets, or None for no
        MTA-STS at all; `patterns` replaces the MX hosts' names in it; `txt`
        replaces the `_mta-sts` record's texts; `behaviour` is the only MX
        host's.
        """
        name = name or self.fresh_name(zone)
        if behaviour is not None:
            mx = (Mx(behaviour=behaviour),)
        made = Domain(self, name)
        steps = []
        for number, record in enumerate(mx, 1):
            steps += self._publish_mx(made, number, record)
        if policy is not None:
            steps += self._publish_policy(made, policy, patterns, policy_id, max_age, txt)
        if steps:
            self.zones.change(steps)
        return made

    def _publish_mx(self, made, number, record):
        host_name = record.name or f"mx{number}.{made.name}"
        steps = [("add", made.name, "MX", f"{record.preference} {host_name}.", 60)]
        families = (record.family,) if isinstance(record.family, str) else record.family
        for family in families:
            address = getattr(self.addresses, family)()
            steps.append(("add", host_name, "AAAA" if ":" in address else "A", address, 60))
            host = mx.MxHost(self.authorities, host_name, address, record.behaviour)
            made.hosts.append(host)
            if not record.down:
                self._hosts.append(host.start())
        return steps

    def _publish_policy(self, made, policy, patterns, policy_id, max_age, txt):
        if patterns is None:
            patterns = sorted({host.name for host in made.hosts})
        if isinstance(policy, str):
            policy = policyhost.policy_text(policy, patterns, max_age).encode()
        made.site = policyhost.Site(body=policy)
        self.policy_host.sites[made.sts_host] = made.site
        texts = [f'"v=STSv1; id={policy_id};"'] if txt is None else txt
        steps = [("add", "_mta-sts." + made.name, "TXT", text, 1) for text in texts]
        steps.append(("add", made.sts_host, "A", self.policy_host.address, 60))
        return steps
