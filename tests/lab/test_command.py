# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""stsgate-lab from the outside: tour, up and down, attack, send, pcap; and that nothing stays."""

import os
import pathlib
import re
import struct
import subprocess

import pytest

ESCAPE = "\x1b["
pytestmark = pytest.mark.timeout(240)


def processes():
    """Command lines of all processes that run; those that have ended have none."""
    found = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if text:
                found[int(entry.name)] = text
        except OSError:
            continue
    return found


def traces(lab):
    """Possible remains of a lab: new processes, files, mounts."""
    mounts = pathlib.Path("/proc/self/mounts").read_text("utf-8")
    return {
        "processes": {text for pid, text in processes().items() if pid not in lab.before},
        "namespaces": namespaces() - lab.namespaces,
        "files": {path for path in (lab.directory, *lab.temporary) if path.exists()},
        "mounts": [line for line in mounts.splitlines() if str(lab.directory) in line]}


def namespaces():
    """The network namespaces of all processes."""
    found = set()
    for entry in pathlib.Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(os.readlink(entry))
        except OSError:
            continue
    return found


@pytest.fixture
def watched(lab):
    lab.before = set(processes())
    lab.namespaces = namespaces()
    lab.temporary = set()
    return lab


def temporary(lab):
    """The temporary directories of what has begun to run."""
    found = set()
    for pid in set(processes()) - lab.before:
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        found |= {pathlib.Path(text.partition("=")[2]) for text in environment
                  if text.startswith("TMPDIR=") and text != f"TMPDIR={os.environ.get('TMPDIR')}"}
    return found


def test_up_attack_send_down_leaves_no_trace(watched):
    lab = watched
    up = lab("up")
    assert up.returncode == 0, up.stdout + up.stderr
    assert "stsgate-lab send" in up.stdout and "strip-starttls" in up.stdout
    assert namespaces() - lab.namespaces, "it has a network of its own"
    lab.temporary = temporary(lab)
    assert lab.temporary and all(path.exists() for path in lab.temporary)
    again = lab("up")
    assert again.returncode == 1 and "already" in again.stderr

    honest = lab("send")
    assert re.search(r"Exim alone .*SENT UNPROVEN", honest.stdout), honest.stdout
    assert re.search(r"Exim \+ stsgate .*VERIFIED", honest.stdout), honest.stdout

    on = lab("attack", "strip-starttls", "on")
    assert on.returncode == 0 and "alice@bank.example" in on.stdout
    robbed = lab("send", "carol@bank.example")
    assert re.search(r"Exim alone .*STOLEN", robbed.stdout), robbed.stdout
    assert re.search(r"Exim \+ stsgate .*HELD", robbed.stdout), robbed.stdout
    assert "strip-starttls" in lab("status").stdout

    off = lab("attack", "strip-starttls", "off")
    assert off.returncode == 0
    assert "VERIFIED" in lab("send", "--guarded").stdout
    assert "strip-starttls" not in lab("status").stdout

    assert lab("attack", "poison-answer", "on").returncode == 0
    assert "STOLEN" in lab("send", "--alone", "alice@poison-answer.example").stdout
    nobody = lab("send", "alice@nowhere.example")
    assert nobody.returncode == 1 and "No such mailbox" in nobody.stdout

    assert lab("down").returncode == 0
    assert traces(lab) == {"processes": set(), "namespaces": set(), "files": set(), "mounts": []}
    assert lab("status").returncode == 69


def test_a_lab_that_was_killed_leaves_no_trace_after_down(watched):
    lab = watched
    assert lab("up").returncode == 0
    lab.temporary = temporary(lab)
    pid = int((lab.directory / "pid").read_text("ascii"))
    inside = [child for child, text in processes().items()
              if child not in lab.before and child != pid and "stslab.resident" in text]
    for child in inside:
        os.kill(child, 9)
    lab("down")
    assert traces(lab) == {"processes": set(), "namespaces": set(), "files": set(), "mounts": []}


def test_tour_of_two(watched):
    lab = watched
    tour = lab("tour", "honest", "strip-starttls")
    assert tour.returncode == 0, tour.stdout + tour.stderr
    assert ESCAPE not in tour.stdout, "plain without a terminal"
    assert re.search(r"1/2 +The honest case", tour.stdout)
    assert re.search(r"the attacker read on the wire: \"your transfer code is 4711-\d+", tour.stdout)
    table = tour.stdout.partition("scenario  ")[2]
    assert re.search(r"strip-starttls +Exim +stolen +held +starttls-not-supported", table)
    assert re.search(r"Sendmail +stolen +held", table)
    assert traces(lab)["namespaces"] == set() and traces(lab)["processes"] == set()


@pytest.mark.parametrize("no_color,coloured", [(False, True), (True, False)])
def test_colour_on_a_terminal(lab, no_color, coloured):
    environment = {**lab.environment, "TERM": "xterm", **({"NO_COLOR": "1"} if no_color else {})}
    shown = subprocess.run(
        ["script", "-qec", f"{lab.launcher} tour honest", "/dev/null"], capture_output=True,
        text=True, timeout=200, check=False, stdin=subprocess.DEVNULL, env=environment)
    assert shown.returncode == 0, shown.stdout
    assert "VERIFIED" in shown.stdout
    assert (ESCAPE + "32;1mVERIFIED" in shown.stdout) == coloured


def packets(path):
    """The payloads of a capture file, by a reader that knows no library."""
    octets = path.read_bytes()
    magic, = struct.unpack("<I", octets[:4])
    assert magic in (0xa1b2c3d4, 0xa1b23c4d)
    at, found = 24, []
    while at + 16 <= len(octets):
        size, = struct.unpack("<I", octets[at + 8:at + 12])
        found.append(octets[at + 16:at + 16 + size])
        at += 16 + size
    assert at == len(octets), "no packet is cut"
    return found


def test_pcap_shows_the_theft(lab):
    done = lab("pcap", "strip-starttls", "x.pcap")
    assert done.returncode == 0, done.stdout + done.stderr
    seen = packets(lab.here / "x.pcap")
    assert len(seen) > 50
    together = b"\n".join(seen)
    assert b"EHLO out.stslab.example" in together and b"your transfer code is 4711-" in together
    assert b"_mta-sts" in together, "the look-ups are there too"


def test_usage(lab):
    for words in ((), ("dance",), ("tour", "no-such"), ("attack", "strip-starttls"),
                  ("attack", "no-such", "on")):
        done = lab(*words)
        assert done.returncode == 64, (words, done.stderr)
        assert len(done.stderr.splitlines()) == 1, done.stderr
    assert lab("down").returncode == 69
    listed = lab("list").stdout
    assert "strip-starttls" in listed and "SMTP smuggling" in listed


@pytest.mark.parametrize("words", [("-h",), ("--help",), ("tour", "-h"), ("pcap", "--help")])
def test_help(lab, words):
    done = lab(*words)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("usage: stsgate-lab")


def test_version_names_the_libraries(lab):
    done = lab("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "stsgate-lab", "Python", "cryptography", "dnspython"]
    assert lab("-V").stdout == done.stdout


@pytest.mark.parametrize("words,meant", [
    (("tuor",), "tour"), (("--hepl",), "--help"), (("-v",), "-V"),
    (("send", "--gaurded"), "--guarded"), (("tour", "strip-startls"), "strip-starttls")])
def test_a_mistyped_word_names_the_nearest(lab, words, meant):
    done = lab(*words)
    assert done.returncode == 64 and f"did you mean {meant}?" in done.stderr
    assert len(done.stderr.splitlines()) == 1
