# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The diagram of one run: who talked to whom, what was covered, where it stopped; inline SVG.

Colours are CSS classes of the page, so that they follow light and dark.
"""

from html import escape

from . import paths
from .world import FORGED, HARMLESS, HELD, STOLEN

WIDTH, HEIGHT, LINE = 480, 134, 60
BOX = 84
ARROW = ('<marker id="{id}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
         'orient="auto"><path d="M0 0 8 4 0 8z" class="{css}"/></marker>')
COVERS = {paths.LOCAL: "local", paths.CLEAR: "clear", paths.READ: "clear", paths.TLS: "tls",
          paths.GREETED: "faint", paths.NOTHING: "faint"}


def markers():
    """Arrow heads, once a page."""
    heads = "".join(ARROW.format(id="to-" + css, css="head-" + css)
                    for css in ("local", "clear", "tls", "faint"))
    return f'<svg width="0" height="0" aria-hidden="true" class="defs"><defs>{heads}</defs></svg>'


def diagram(way, verdict, words):
    """The SVG; `words` say the same for who cannot see it."""
    nodes = [(way.start, "sender"), *((hop.node, hop.role) for hop in way.hops)]
    gap = (WIDTH - BOX * len(nodes)) / max(len(nodes) - 1, 1)
    lefts = [number * (BOX + gap) for number in range(len(nodes))]
    parts = [_edge(lefts[number] + BOX, gap, hop, number == way.stop)
             for number, hop in enumerate(way.hops)]
    parts += [_node(left, name, role, verdict)
              for left, (name, role) in zip(lefts, nodes, strict=True)]
    return (f'<svg class="way" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(words)}">{"".join(parts)}</svg>')


def _edge(left, length, hop, stopped):
    css = COVERS[hop.state]
    middle = left + length / 2
    line = (f'<path d="M{left + 3:.0f} {LINE}H{left + length - 4:.0f}" class="edge {css}" '
            f'marker-end="url(#to-{css})"/>')
    if stopped:
        return line + _stop(middle)
    word = "no mail" if hop.state == paths.GREETED else paths.WORDS[hop.state]
    return line + (_lock(middle) if hop.state == paths.TLS else "") + (
        f'<text x="{middle:.0f}" y="{LINE + 20}" class="word {css}">{word}</text>' if word else "")


def _stop(middle):
    """An octagon with a bar: here stsgate said no."""
    return (f'<g transform="translate({middle:.0f} {LINE})" class="stop">'
            '<path d="M-5.5-13h11l7.5 7.5v11l-7.5 7.5h-11l-7.5-7.5v-11z"/>'
            '<path d="M-6 0H6" class="bar"/></g>')


def _lock(middle):
    return (f'<g transform="translate({middle:.0f} {LINE - 17})" class="lock">'
            '<path d="M-3.5-1v-3.5a3.5 3.5 0 0 1 7 0v3.5" class="shackle"/>'
            '<rect x="-6" y="-1" width="12" height="9" rx="2"/></g>')


def _node(left, name, role, verdict):
    stolen = role == "attacker" and verdict == STOLEN
    css = "node " + (role or "plain") + (" took" if stolen else "")
    middle = left + BOX / 2
    lines = name.split(" ") if len(name) > 11 else [name]
    label = "".join(f'<text x="{middle:.0f}" y="{LINE + 42 + 15 * at}" class="name">'
                    f"{escape(line)}</text>" for at, line in enumerate(_two(lines)))
    return (f'<g class="{css}"><rect x="{left:.0f}" y="{LINE - 28}" width="{BOX}" height="56" '
            f'rx="10"/>{_icon(role, middle)}{label}{_badge(role, verdict, middle)}</g>')


def _two(lines):
    return lines if len(lines) < 3 else [lines[0], " ".join(lines[1:])]


def _badge(role, verdict, middle):
    """What the one who matters has in the end."""
    word, css = "", ""
    if role in ("attacker", "listener"):
        word, css = {STOLEN: ("reads the message", "clear")}.get(verdict, ("gets nothing", "quiet"))
    elif role == "receiver" and verdict == FORGED:
        word, css = "two messages", "clear"
    elif role == "receiver" and verdict == HARMLESS:
        word, css = "one message", "tls"
    elif role == "sender" and verdict == HELD:
        word, css = "queued", "amber"
    elif role == "stsgated" and verdict == HELD:
        word, css = "stopped", "amber"
    if not word:
        return ""
    return f'<text x="{middle:.0f}" y="{LINE - 38}" class="word {css}">{word}</text>'


ICONS = {
    "sender": '<path d="M-15-10h30v20h-30z"/><path d="M-15-10 0 2l15-12"/>',
    "receiver": '<path d="M-13-12h26v24h-26z"/><path d="M-13 0h26M-8-6h2M-8 6h2"/>',
    "stsgated": '<path d="M0-14 13-9v8c0 8-6 12-13 15-7-3-13-7-13-15v-8z"/>'
                '<path d="m-5-1 4 5 7-9"/>',
    "attacker": '<path d="M-17 0c8-13 26-13 34 0-8 13-26 13-34 0z"/><circle r="5"/>',
    "listener": '<path d="M-17 0c8-13 26-13 34 0-8 13-26 13-34 0z"/><circle r="5"/>',
}


def _icon(role, middle):
    return f'<g class="icon" transform="translate({middle:.0f} {LINE})">{ICONS.get(role, "")}</g>'
