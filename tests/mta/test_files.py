# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Files that administrators copy: examples that stsgated accepts, time limits that fit, systemd
units."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
from stslab import programs

TOP = pathlib.Path(__file__).resolve().parents[2] / "integration"
EXAMPLES = sorted((TOP / "examples").glob("*.conf"))
LONGEST = (30 + 10) * 60    # lmtp.transaction-time and smtp.final-timeout: a dot may be given at the end
SECONDS = {"s": 1, "m": 60, "h": 3600}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_stsgated_takes_the_examples(example, net):
    """As they are, but for the user, the state directory and a group that only its MTA brings."""
    text = re.sub(r'^(\s*)socket-group = .*$', "", example.read_text(), flags=re.MULTILINE)
    directory = net.directory / f"example-{example.stem}"
    directory.mkdir()
    copy = directory / "stsgate.conf"
    copy.write_text(f'user = "nobody"\nstate-directory = "{directory}"\n' + text)
    done = programs.run("stsgated", "-t", "-c", str(copy), seconds=60)
    assert done.returncode == 0, done.stderr
    copy.write_text(text + "lmpt { }\n")
    assert programs.run("stsgated", "-t", "-c", str(copy)).returncode == 78


@pytest.mark.parametrize("path,pattern", [
    ("exim/transport/30_stsgate", r"final_timeout = (\d+)(\w)"),
    ("exim/transport/31_stsgate_socket", r"timeout = (\d+)(\w)"),
    ("exim/transport/31_stsgate_command", r"timeout = (\d+)(\w)"),
    ("exim/transport/31_stsgate_pipe", r"timeout = (\d+)(\w)"),
    ("sendmail/mailer/stsgate.m4", r"confTO_DATAFINAL', `(\d+)(\w)'"),
    ("sendmail/sendmail-lmtp.mc", r"confTO_DATAFINAL', `(\d+)(\w)'"),
    ("postfix/main.cf.lmtp", r"lmtp_data_done_timeout = (\d+)(\w)"),
    ("postfix/master.cf.pipe", r"time_limit = (\d+)(\w)"),
])
def test_the_mta_waits_longer_than_a_transaction(path, pattern):
    number, unit = re.search(pattern, (TOP / path).read_text()).groups()
    assert int(number) * SECONDS[unit] > LONGEST


@pytest.fixture
def units(net):
    """The units with the paths of this build, in a directory of their own."""
    directory = net.directory / "units"
    directory.mkdir(exist_ok=True)
    for name in ("stsgated", "stsgate-milter"):
        text = (TOP / "systemd" / f"{name}.service.in").read_text()
        text = re.sub(r"ExecStart=@sbindir@/\S+", "ExecStart=/bin/true", text)
        (directory / f"{name}.service").write_text(text)
    shutil.copy(TOP / "systemd" / "stsgated.socket", directory)
    return directory


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_units(units):
    """No unknown word, and a sandbox that systemd calls good."""
    paths = sorted(map(str, units.iterdir()))
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:/lib/systemd/system"}
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], env=environment,
                          capture_output=True, text=True, timeout=50, check=False)
    complaints = [line for line in done.stderr.splitlines() if "stsgate" in line]
    assert complaints == [] and done.returncode == 0, done.stderr
    for path in paths:
        if path.endswith(".service"):
            done = subprocess.run(
                ["systemd-analyze", "security", "--offline=yes", "--threshold=40", path],
                env=environment, capture_output=True, text=True, timeout=50, check=False)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr
