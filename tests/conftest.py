# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Shared by all stories: one private Internet, and daemons on it.

`mta` is a stsgated with the lab's settings, `unguarded` the same with
`sts { enforce = "off" }`; both serve many tests, each of which publishes
domains of its own.  `start` makes a daemon for one test, `pair` one with a milter.
"""

import json
import os
import pathlib
import re
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "e2e"), str(HERE / "mta"), str(HERE.parent / "integration" / "lab")]

import clocks  # noqa: E402
from stslab import pace, sanitizer  # noqa: E402
from stslab.internet import Internet  # noqa: E402
from stslab.milter import StsgateMilter  # noqa: E402


def _note(**what):
    """One line for tests/results.py, which counts: as many results as tests, or a failure."""
    path = os.environ.get("STSLAB_RESULTS")
    if path:
        with open(path, "a", encoding="utf-8") as results:
            results.write(json.dumps(what) + "\n")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Keep this process's share of the tests: tests/e2e/run starts several."""
    if pace.is_sanitized():
        items[:] = [item for item in items if not item.get_closest_marker("no_sanitizer")]
    share, _, shares = os.environ.get("STSLAB_SHARE", "0/1").partition("/")
    everything = len(items)
    items[:] = items[int(share)::int(shares)]
    for item in items:
        mark = item.get_closest_marker("timeout")
        seconds = float(mark.args[0] if mark else item.config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(pace.patience(seconds)), append=False)
    _note(collected=["tests/" + item.nodeid for item in items], all=everything)


def _note_report(report, when):
    text = report.longreprtext if not isinstance(report.longrepr, tuple) else report.longrepr[2]
    outcome = report.outcome
    if hasattr(report, "wasxfail"):
        outcome = "xfailed" if report.skipped else "xpassed"
    lines = text.strip().splitlines() or [""]
    note = next((line for line in lines if re.search(r"SUMMARY: \w+Sanitizer", line)), lines[-1])
    _note(id="tests/" + report.nodeid, when=when, outcome=outcome,
          note=note.removeprefix("E").strip()[:200],
          final=bool(sanitizer.complaint(text.encode("utf-8", "replace"))))


def pytest_collectreport(report):
    """A file that skips itself, or that cannot be read."""
    if not report.passed:
        _note_report(report, "collect")


def pytest_runtest_logreport(report):
    _note_report(report, report.when)


@pytest.fixture(scope="session")
def net():
    with Internet() as internet:
        yield internet


def _shared(net, settings=None):
    daemon = net.daemons.start(settings)
    yield daemon
    assert daemon.stop() == 0, daemon.log_text()


@pytest.fixture(scope="session")
def mta(net):
    yield from _shared(net)


@pytest.fixture(scope="session")
def unguarded(net):
    yield from _shared(net, {"sts": {"enforce": "off"}})


@pytest.fixture
def start(net):
    """A daemon of this test's own: start({section: {key: value}})."""
    made = []

    def start_one(settings=None):
        made.append(net.daemons.make(settings))
        return made[-1].start()

    yield start_one
    statuses = [net.daemons.discard(daemon) for daemon in made]
    assert not any(statuses), f"stsgated ended with {statuses}\n{net.daemons.complaints()}"


@pytest.fixture
def machine(net):
    """A daemon whose clocks the test moves, as clocks.Clocks: machine({section: {key: value}})."""
    made = []

    def make(settings=None):
        made.append(clocks.Clocks(net.daemons.make({"smtp": {"keep-idle": "0s"}} | (settings or {}))))
        made[-1].start()
        return made[-1]

    yield make
    for clock in made:
        assert clock.daemon.stop() == 0, clock.daemon.log_text()
        net.daemons.discard(clock.daemon)


@pytest.fixture
def beside():
    """Starts a milter with the configuration of a stsgated: beside(daemon)."""
    made = []

    def start_one(daemon, listen=None):
        listen = listen or daemon.settings.get("milter", {}).get("listen") \
            or f"unix:{daemon.directory}/run/milter.sock"
        daemon.reconfigure({"milter": {"listen": listen}})
        made.append(StsgateMilter(daemon.config, listen, daemon.directory / "milter.log"))
        return made[-1].start()

    yield start_one
    statuses = [milter.stop() for milter in made]
    assert not any(statuses), [milter.log_text() for milter in made]


@pytest.fixture
def pair(start, beside):
    """stsgated and its milter: pair(milter settings)."""
    def build(**settings):
        mta = start({"milter": settings})
        return mta, beside(mta)
    return build


@pytest.fixture(autouse=True)
def healed(request):
    """No test leaves a DNS fault, a closed policy host or a sanitizer's report to the next."""
    yield
    if "net" in request.fixturenames:
        internet = request.getfixturevalue("net")
        internet.dns.heal()
        internet.policy_host.accept = True
        complaints = internet.daemons.complaints()
        assert not complaints, complaints
