"""The report on a drill that people read and keep: one HTML file, with the timeline as a picture."""

import html

WIDTH = 1600
ROW = 26
LABEL = 90
COLOURS = ["#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d", "#e45756", "#72b7b2", "#eeca3b"]

EXPLANATION = """
<p>Each row is a lock, each bar a time in which a program believed to hold it; the colour is the node that the program
is connected to, and a pale bar is a lock that is shared. Grey bands are faults. No two bars of one row should overlap,
unless both are shared: <code>belief_overlaps</code> counts those that do.</p>
<p>A program that is stopped between looking at its deadline and writing writes late when it wakes, whoever else has the
lock by then. No lock service can prevent that. The resource <i>plain</i> takes everything, and <code>late_writes</code>
counts what it took after the writer's belief was over.</p>
"""
TOKENS = """
<p>The resource <i>store</i> compares fencing tokens and refuses each write that is out of date;
<code>stale_accepted</code> counts those that it should have refused.</p>
"""
NO_TOKENS = """
<p>This system has no fencing tokens, so that no resource can refuse a write that is out of date. What is shown as a
token is the instant of the grant; <code>stale_accepted</code> and <code>token_regressions</code> say nothing here.</p>
"""


def colour(client):
    return COLOURS[(int(client.split(".")[0]) - 1) % len(COLOURS)]


def timeline(verdict):
    """The beliefs of all locks, and the faults behind them, as SVG."""
    locks = sorted(verdict.grants)
    beliefs = {lock: verdict.beliefs(lock) for lock in locks}
    end = max((belief.end for row in beliefs.values() for belief in row), default=verdict.start + 1)
    scale = (WIDTH - LABEL) / max(1, end - verdict.start)
    height = ROW * (len(locks) + 3)

    def x(at):
        return LABEL + (min(at, end) - verdict.start) * scale

    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" xmlns="http://www.w3.org/2000/svg" '
             'font-family="sans-serif" font-size="12">']
    for number, (kind, begin, until, client) in enumerate(verdict.faults):
        name = html.escape(f"{kind} {client or ''}".strip())
        parts.append(f'<text x="{x(begin):.1f}" y="{height - 30 + number % 3 * 12}" font-size="10">{name}</text>')
        parts.append(f'<rect x="{x(begin):.1f}" y="{ROW}" width="{max(1, x(until) - x(begin)):.1f}" '
                     f'height="{height - ROW}" fill="#000" opacity="0.07"><title>{name}</title></rect>')
    for second in range(int((end - verdict.start) / 1e9) + 1):
        if second % 5 == 0:
            parts.append(f'<text x="{x(verdict.start + second * 1e9):.1f}" y="16">{second} s</text>')
    for row, lock in enumerate(locks, start=1):
        parts.append(f'<text x="4" y="{row * ROW + 18}">{html.escape(lock)}</text>')
        for belief in beliefs[lock]:
            begin, until = ((at - verdict.start) / 1e9 for at in (belief.start, belief.end))
            title = html.escape(f"{belief.client}, token {belief.token}, {begin:.3f} to {until:.3f} s")
            shared = belief.mode != "EX"
            parts.append(f'<rect x="{x(belief.start):.2f}" y="{row * ROW + 4}" '
                         f'width="{max(0.5, x(belief.end) - x(belief.start)):.2f}" height="{ROW - 8}" '
                         f'fill="{colour(belief.client)}" opacity="{0.35 if shared else 0.9}">'
                         f'<title>{title}</title></rect>')
    return "\n".join(parts + ["</svg>"])


def legend(verdict):
    nodes = {int(grant.client.name.split(".")[0]) for grants in verdict.grants.values() for grant in grants}
    return " ".join(f'<b style="color:{colour(str(node))}">node {node}</b>' for node in sorted(nodes))


def page(title, verdict, faults, tokens):
    explanation = EXPLANATION + (TOKENS if tokens else NO_TOKENS)
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{value}</td></tr>"
                   for name, value in verdict.counters.items())
    kinds = ", ".join(f"{count} {html.escape(kind)}" for kind, count in faults.items() if count)
    violations = "".join(f"<li>{html.escape(str(found))}</li>" for found in verdict.violations) or "<li>none</li>"
    return (f"<!doctype html><meta charset=\"utf-8\"><title>{html.escape(title)}</title>\n"
            "<style>body{font-family:sans-serif;margin:2em;max-width:1700px}td{padding:0 1em 0 0}</style>\n"
            f"<h1>{html.escape(title)}</h1><p>Faults: {kinds}.</p>{explanation}<p>{legend(verdict)}</p>\n"
            f"{timeline(verdict)}\n"
            f"<h2>Violations</h2><ul>{violations}</ul><h2>Counts</h2><table>{rows}</table>\n")
