# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A root directory of its own for an MTA that cannot be installed together with another.

The system as it is, with Debian packages unpacked over it in memory: an
overlay that is gone with the mount table.  `scripts/need mta` has put the
packages into DEBS and installed the libraries that they need.
"""

import contextlib
import glob
import os
import pathlib
import socket
import subprocess
import threading

from . import pace

DEBS = os.environ.get("STSLAB_DEBS", "/var/cache/stsgate-lab")
DEVICES = ("null", "zero", "random", "urandom")


class RootFailed(RuntimeError):
    """A command in the root did not do its work, or a package is missing."""


class Root:
    """`path` is the root directory; what is below `shared` is the same inside and outside."""

    def __init__(self, directory, packages, shared=()):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True)
        self.path = directory / "root"
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", directory)
        for name in ("upper", "work", "root"):
            (directory / name).mkdir()
        _mount("-t", "overlay", "overlay", "-o",
               f"lowerdir=/,upperdir={directory}/upper,workdir={directory}/work", self.path)
        _mount("-t", "proc", "proc", self.path / "proc")
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", self.path / "dev")
        for name in DEVICES:
            (self.path / "dev" / name).touch()
            _mount("--bind", f"/dev/{name}", self.path / "dev" / name)
        for path in shared:
            inside = self.path / str(path).lstrip("/")
            inside.mkdir(parents=True, exist_ok=True)
            _mount("--bind", path, inside)
        for package in packages:
            self._unpack(package)
        self.write("/etc/resolv.conf", pathlib.Path("/etc/resolv.conf").read_text("ascii"))
        self._syslog()

    def _unpack(self, package):
        found = glob.glob(f"{DEBS}/{package}_*.deb")
        if not found:
            raise RootFailed(f"{package} is not in {DEBS}: run scripts/need mta")
        newest = max(found, key=os.path.getmtime)
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", newest],
                              stdout=subprocess.PIPE) as archive:
            subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", self.path],
                           stdin=archive.stdout, check=True, timeout=60)

    def _syslog(self):
        """The syslog messages of its programs, in order."""
        self.log = []
        self._log_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._log_socket.bind(str(self.path / "dev" / "log"))
        os.chmod(self.path / "dev" / "log", 0o666)
        threading.Thread(target=self._read_log, daemon=True).start()

    def _read_log(self):
        with contextlib.suppress(OSError):    # stop() closes it
            while True:
                line = self._log_socket.recv(65536).decode("utf-8", "replace")
                self.log.append(line.partition(">")[2].strip("\0\n"))

    def inside(self, path):
        """Where a path of the root is for us."""
        return self.path / str(path).lstrip("/")

    def write(self, path, text, mode=0o644):
        target = self.inside(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)

    def read(self, path):
        target = self.inside(path)
        return target.read_text("utf-8", "replace") if target.exists() else ""

    def directory(self, path, owner="root:root", mode="0755"):
        self.inside(path).mkdir(parents=True, exist_ok=True)
        self.run("chown", owner, path)
        self.run("chmod", mode, path)

    def add_user(self, name, number, groups=()):
        """A user and a group of the same name and number, and further (name, number) groups."""
        with open(self.inside("/etc/passwd"), "a", encoding="ascii") as users:
            users.write(f"{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n")
        with open(self.inside("/etc/group"), "a", encoding="ascii") as table:
            for group, group_number in ((name, number), *groups):
                table.write(f"{group}:x:{group_number}:\n")

    def run(self, *command, stdin=b"", seconds=60, check=True):
        """Run a command to its end; gives its output as text."""
        process = self.start(*command)
        try:
            out, errors = process.communicate(stdin, timeout=pace.patience(seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        if check and process.returncode:
            raise RootFailed(f"{command}: {process.returncode}: "
                             + (errors + out).decode("utf-8", "replace"))
        return out.decode("utf-8", "replace")

    def start(self, *command):
        return subprocess.Popen(["chroot", str(self.path), *map(str, command)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, cwd="/",
                                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"})

    def stop(self):
        self._log_socket.close()
        for _ in range(20):
            if subprocess.run(["umount", "-R", self.path.parent], check=False, timeout=20,
                              capture_output=True).returncode == 0:
                return
        subprocess.run(["umount", "-R", "-l", self.path.parent], check=False, timeout=20)


def present(packages):
    """Whether all of them are in DEBS."""
    return all(glob.glob(f"{DEBS}/{package}_*.deb") for package in packages)


def _mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True, timeout=20)
