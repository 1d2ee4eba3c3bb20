# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The page with all evidence: one file that needs no network, from performances.

Pure.  Whatever came over a wire or out of a log passes _text().
"""

import json
import pathlib
from html import escape

from . import middle, terminal
from .diagram import diagram, markers
from .paths import way
from .world import FORGED, HARMLESS, HELD, STOLEN, UNPROVEN, VERIFIED

CSS = pathlib.Path(__file__).with_name("report.css")
COLOURS = {STOLEN: "red", FORGED: "red", UNPROVEN: "amber", VERIFIED: "green", HELD: "amber",
           HARMLESS: "green"}
WORDS = {STOLEN: "stolen", FORGED: "forged", UNPROVEN: "sent unproven", VERIFIED: "verified",
         HELD: "held back", HARMLESS: "harmless"}
# Opens and closes the evidence of the whole page.
SCRIPT = """
document.querySelector("button").addEventListener("click", event => {
  const open = event.target.getAttribute("aria-pressed") !== "true";
  document.querySelectorAll("details").forEach(part => { part.open = open; });
  event.target.setAttribute("aria-pressed", open);
  event.target.textContent = open ? "Close all evidence" : "Open all evidence";
});
"""
INTRODUCTION = """\
<h1>Mail under attack, with and without stsgate</h1>
<p class="lead">One message, sent again and again through a private mail Internet inside one machine.
Each scenario shows what becomes of it when the mail server sends by itself, and when stsgate delivers
for it. Everything here was observed: on the wire, in queues and in logs.</p>
<ul class="legend"><li><i style="color:var(--clear)"></i>readable for the attacker</li>
<li><i style="color:var(--tls)"></i>TLS to the real server</li>
<li><i style="color:var(--local)"></i>inside the machine</li>
<li><i class="dot"></i>stopped by stsgate</li></ul>"""


def page(performances, versions):
    """The whole page; `versions` of the programs that sent."""
    sections = [_section(number, performance)
                for number, performance in enumerate(performances, 1)]
    programs = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
        '<link rel="icon" href="data:,">\n'
        f"<title>Mail under attack, with and without stsgate</title>\n"
        f"<style>{CSS.read_text('utf-8')}</style></head>\n<body>{markers()}<main>\n"
        f"{INTRODUCTION}\n{_board(performances)}\n"
        '<button type="button" aria-pressed="false">Open all evidence</button>\n'
        + "\n".join(sections)
        + f"\n<footer>Made by stsgate-lab with {_text(programs or 'no programs')}. All names and "
        "messages are made up; nothing left the machine.</footer>\n"
        f"</main><script>{SCRIPT}</script></body></html>\n")


def _text(text):
    """Text of whatever origin, for the page: escaped, and control characters shown."""
    shown = "".join(chr(0x2400 + ord(char)) if char < " " and char not in "\n\t" else char
                    for char in str(text))
    return escape(shown)


def _chip(run):
    return (f'<span class="chip {COLOURS.get(run.verdict, "red")}">'
            f"{WORDS.get(run.verdict, 'unexpected')}</span>")


def _board(performances):
    rows = []
    for performance in performances:
        scenario = performance.scenario
        alone, guarded = performance.pairs[0]
        results = ", ".join(sorted(set(performance.results()))) or "success"
        rows.append(f'<tr><td><a href="#{escape(scenario.name)}">{escape(scenario.title)}</a></td>'
                    f"<td>{_chip(alone)}</td><td>{_chip(guarded)}</td>"
                    f'<td class="kind">{_text(results)}</td></tr>')
    return ('<div class="board"><table><thead><tr><th>Scenario</th><th>MTA alone</th>'
            '<th>with stsgate</th><th class="kind">TLS report</th></tr></thead><tbody>'
            + "".join(rows) + "</tbody></table></div>")


def _section(number, performance):
    scenario = performance.scenario
    pairs = "".join('<div class="pair">' + _run(scenario, alone) + _run(scenario, guarded)
                    + "</div>" for alone, guarded in performance.pairs)
    return (
        f'<section id="{escape(scenario.name)}"><div class="number">{number} · '
        f"<code>{escape(scenario.name)}</code></div><h2>{escape(scenario.title)}</h2>"
        f"<p>{escape(scenario.story)}</p>{pairs}"
        f'<p class="lesson">{escape(scenario.lesson)}</p>'
        f"{_report(performance.report)}</section>")


def _run(scenario, run):
    colour = COLOURS.get(run.verdict, "red")
    name = f"{run.sender} {'with stsgate' if run.guarded else 'alone'}"
    words = f"{name}: {WORDS.get(run.verdict, 'unexpected')}"
    queue = "The message waits in its queue." if run.waiting else "Its queue is empty."
    return (
        f'<article class="run"><header><span class="label">{_text(name)}</span>{_chip(run)}'
        f"</header>{diagram(way(scenario, run), run.verdict, words)}"
        f'<p class="proof {colour}">{_text(_sentence(terminal.evidence(run)))}</p>'
        f'<details class="transcript"><summary>What went over the wire</summary>'
        f"{_wire(run)}</details>"
        f"<details><summary>What {_text(run.sender)} says. {queue}</summary>"
        f"<pre>{_text(chr(10).join(run.log) or 'nothing')}</pre></details></article>")


def _sentence(text):
    return text[:1].upper() + text[1:]


def _wire(run):
    if not run.exchanges:
        return '<ol class="wire"><li class="a-note">no connection was made</li></ol>'
    parts = []
    for exchange in run.exchanges:
        lines = "".join(_line(entry, run.secret) for entry in exchange.entries)
        parts.append(f'<p class="host sans">connection to {_text(exchange.host)}</p>'
                     f'<ol class="wire">{lines}</ol>')
    return "".join(parts)


def _line(entry, secret):
    css = "in-tls" if entry.tls else "in-clear"
    if entry.who == middle.NOTE:
        return f'<li class="{css} a-note"><b></b>{_text(entry.text)}</li>'
    if entry.who == middle.ATTACKER:
        css += " by-attacker"
    text = _text(entry.text)
    if secret in entry.text:
        text = text.replace(escape(secret), f"<mark>{escape(secret)}</mark>")
    return f'<li class="{css}"><b>{entry.who}</b>{text or "&nbsp;"}</li>'


def _report(report):
    if report is None:
        return ""
    return ("<details class=\"tlsrpt\"><summary>The TLS report that the domain gets: "
            f"{_text(terminal.summary(report))}</summary>"
            f"<pre>{_text(json.dumps(report, indent=2))}</pre></details>")
