# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The output of each program about itself, and about a mistyped word."""

import re
import subprocess

import pytest
from stslab import programs

PROGRAMS = ("stsgated", "stsgate", "stsgate-deliver", "stsgate-milter")
# The beginning of a shared library's name, and what --version calls it.
LIBRARIES = {"libc": "glibc", "libconfuse": "libConfuse", "libcrypto": "OpenSSL", "libcurl": "libcurl",
             "libdb": "Berkeley DB", "libglib": "GLib", "libgmime": "GMime", "libgobject": "GLib", "libidn2": "libidn2",
             "libjansson": "Jansson",
             "libmicrohttpd": "libmicrohttpd", "libmilter": "libmilter", "libssl": "OpenSSL",
             "libunbound": "libunbound", "libz": "zlib"}
# What the compiler adds, and names that libc gives its parts.
NOT_OURS = {"libasan", "libgcc_s", "libm", "libpthread", "libtsan", "libubsan", "ld-linux-x86-64"}


def libraries_of(name):
    """The libraries of a program, by names without versions."""
    done = subprocess.run(["readelf", "-d", programs.find(name)], capture_output=True, text=True,
                          check=True)
    return {re.split(r"[-.][\d]|\.so", library)[0]
            for library in re.findall(r"NEEDED.*\[(.*)\]", done.stdout)} - NOT_OURS


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_on_stdout(name, option):
    done = programs.run(name, option)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {name} ") and "--version" in done.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_version_names_every_library_that_is_linked(name):
    """A library that the table above lacks fails this too."""
    done = programs.run(name, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    first, *lines = done.stdout.splitlines()
    assert re.fullmatch(rf"{name} \d+\.\d+\S*", first)
    assert {line.partition(re.search(r" v?\d", line)[0])[0] for line in lines} == \
        {LIBRARIES[library] for library in libraries_of(name)}
    assert programs.run(name, "-V").stdout == done.stdout


def test_stsgate_deliver_links_libc_alone():
    assert libraries_of("stsgate-deliver") == {"libc"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_that_cannot_be_written(name):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([programs.find(name), "--help"], stdout=full, stderr=subprocess.PIPE,
                              check=False)
    assert done.returncode == 74 and b"standard output" in done.stderr


@pytest.mark.parametrize("name,words,meant", [
    ("stsgated", ["--hepl"], "--help"), ("stsgated", ["-v"], "-V"),
    ("stsgate-milter", ["--verison"], "--version"), ("stsgate-milter", ["-T"], "-t"),
    ("stsgate-deliver", ["--all-or-nothing", "-f", "a@b.example", "c@d.example"], "--all-or-none"),
    ("stsgate-deliver", ["--ltmp"], "--lmtp"),
    ("stsgate", ["polcy", "a.example"], "policy"), ("stsgate", ["cache", "lst"], "cache list"),
    ("stsgate", ["refresh", "a.example"], "cache refresh"),
    ("stsgate", ["report", "snd"], "report send"), ("stsgate", ["-json", "stats"], "--json")])
def test_a_mistyped_word_names_the_nearest(name, words, meant):
    done = programs.run(name, *words)
    assert (done.returncode, done.stdout) == (64, "")
    assert f"did you mean {meant}?\n" in done.stderr


@pytest.mark.parametrize("words,said", [
    ([], "a command is missing"), (["nonsense"], 'unknown command "nonsense"\n'),
    (["cache"], 'the second word of a "cache" command'), (["check"], '"check" takes one domain'),
    (["cache", "list", "a.example"], '"cache list" takes no operand'),
    (["stats", "--force"], "an option does not fit"),
    (["stats", "--since", "7d"], "an option does not fit")])
def test_a_command_of_stsgate_that_is_none(words, said):
    done = programs.run("stsgate", *words)
    assert (done.returncode, done.stdout) == (64, "") and said in done.stderr


@pytest.mark.parametrize("recipient", ["-h@b.example", "-h", "-V", "--help", "--version", "--vers"])
def test_an_address_is_no_wish_for_help(recipient):
    """Status 0 would tell the MTA that the message is delivered."""
    done = programs.run("stsgate-deliver", "-f", "a@b.example", recipient, stdin=b"x\n")
    assert (done.returncode, done.stdout) == (64, "")
