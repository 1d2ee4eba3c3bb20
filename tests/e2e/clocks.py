# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The clocks of a machine on which a daemon runs, made up by wall_clock.c."""

import pathlib
import re
import subprocess
import time
import uuid

from stslab import programs


def build(directory):
    """The library to preload."""
    library = directory / "wall_clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library,
                    pathlib.Path(__file__).with_name("wall_clock.c")], check=True)
    return library


def preload(library):
    """LD_PRELOAD: the library, after the sanitizers' runtime if the program has one."""
    linked = subprocess.run(["ldd", programs.find("stsgated")], check=True, text=True,
                            capture_output=True).stdout
    return ":".join([*re.findall(r"lib[at]san\.so\S* => (\S+)", linked), str(library)])


class Clocks:
    """Wall clock, boot clock and boot id of a daemon; all begin as they are here."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.library = build(daemon.directory)
        self.files = {name: daemon.directory / name for name in ("WALL_CLOCK", "BOOT_CLOCK", "BOOT_ID")}
        self.wall = self.boot = 0
        self._write("WALL_CLOCK", 0)
        self._write("BOOT_CLOCK", 0)
        self._write("BOOT_ID", uuid.uuid4())

    def _write(self, name, value):
        fresh = self.files[name].with_suffix(".new")
        fresh.write_text(f"{value}\n", "ascii")
        fresh.chmod(0o644)
        fresh.replace(self.files[name])

    def step(self, seconds):
        """Sets the wall clock."""
        self.wall += seconds
        self._write("WALL_CLOCK", self.wall)

    def outlive(self, seconds):
        """Any period of this length that began earlier is over: clocks are read in whole seconds."""
        self.pass_over(seconds + 5)

    def pass_over(self, seconds):
        """The machine sleeps, and the wall clock is then where it was: what is long ago by the
        boot clock is not, to the DNS and to certificates."""
        self.boot += seconds
        self._write("BOOT_CLOCK", self.boot)

    def start(self):
        self.daemon.start(prefix=["env", f"LD_PRELOAD={preload(self.library)}",
                                  *(f"{name}={path}" for name, path in self.files.items())])

    def restart(self, step=0):
        """stsgated alone; the wall clock may be set meanwhile."""
        assert self.daemon.stop() == 0
        self.step(step)
        self.start()

    def kill(self, step=0):
        """The same with SIGKILL."""
        self.daemon.kill()
        self.step(step)
        self.start()

    def reboot(self, step=0):
        """The machine, whose wall clock then shows so much more or less than it should."""
        assert self.daemon.stop() == 0
        with open("/proc/uptime", encoding="ascii") as uptime:
            self.boot = 5 - int(float(uptime.read().split()[0]))
        self._write("BOOT_CLOCK", self.boot)
        self._write("BOOT_ID", uuid.uuid4())
        self.step(step)
        self.start()

    def now(self):
        """The time of the wall clock."""
        return time.time() + self.wall
