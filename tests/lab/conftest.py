# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""One world for all scenarios, and the command as a user runs it."""

import multiprocessing.connection
import os
import pathlib
import subprocess
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
LAB = HERE.parents[1] / "integration" / "lab"
LAUNCHER = LAB / "stsgate-lab"


def outside():
    """The environment without what the tests' own private network has put there."""
    return {name: value for name, value in os.environ.items() if name != "STSLAB_INSIDE"}


@pytest.fixture(scope="session")
def play(tmp_path_factory):
    """play(name) performs a scenario; gives its pairs of runs, the report, and what was odd."""
    path = tmp_path_factory.mktemp("player") / "socket"
    child = subprocess.Popen(
        [LAB / "private-network", "/usr/bin/python3", HERE / "player.py", path],
        stdin=subprocess.DEVNULL, env={**outside(), "PYTHONPATH": str(LAB)})
    end = time.monotonic() + 50
    while True:
        try:
            player = multiprocessing.connection.Client(str(path), "AF_UNIX")
            break
        except OSError:
            assert child.poll() is None and time.monotonic() < end, "no player"
            time.sleep(0.05)

    def ask(name):
        player.send(name)
        assert player.poll(50), f"{name} takes too long"
        return player.recv()
    yield ask
    player.close()
    assert child.wait(50) == 0


def _command(here):
    """Runs stsgate-lab as from a shell, with a directory of its own for `up`."""
    environment = {**outside(), "STSGATE_LAB_DIR": str(here / "lab"), "LC_ALL": "C.UTF-8"}
    environment.pop("NO_COLOR", None)

    def run(*words, seconds=200):
        return subprocess.run([LAUNCHER, *words], capture_output=True, text=True, check=False,
                              timeout=seconds, stdin=subprocess.DEVNULL, cwd=here,
                              env=environment)
    run.here, run.directory, run.launcher, run.environment = (
        here, here / "lab", LAUNCHER, environment)
    return run


@pytest.fixture
def lab(tmp_path):
    run = _command(tmp_path)
    yield run
    if run.directory.exists():
        run("down")


@pytest.fixture(scope="module")
def lab_run(tmp_path_factory):
    """The same for what many tests look at; no `up` there."""
    return _command(tmp_path_factory.mktemp("lab"))
