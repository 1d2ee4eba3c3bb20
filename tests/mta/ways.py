# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Every way to hand mail to stsgated: an MTA with the files that we ship, and the daemon behind it.

MTAs all have send(), run_queue(), waiting(), mailq(), log_text(), mailbox(),
kill() and empty(); what differs between them stays in stslab.
"""

import shutil
from dataclasses import dataclass

from stslab import programs
from stslab.exim import Exim

HAND_OVER = ["exim-lmtp", "exim-socket", "exim-command", "exim-pipe"]
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
    """Makes each site when it is first asked for."""

    def __init__(self, net):
        self.net = net
        self._sites = {}
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
