"""report.py - what has been measured, as Markdown."""
import math
import pathlib
import statistics

LESS = ("ms", "MB")  # units of which less is better


def median(samples, key="value"):
    values = [s[key] for s in samples if s.get(key) is not None]
    return statistics.median(values) if values else None


def number(x, unit):
    digits = 0 if x >= 1000 else 1 if x >= 100 else 2
    return f"{x:,.{digits}f} {unit}"


def spread(samples):
    """Half of what lies between least and most, in percent."""
    values = [s["value"] for s in samples]
    return 100 * (max(values) - min(values)) / 2 / statistics.median(values)


def figure(samples, unit):
    if not samples:
        return "-"
    text = number(median(samples), unit)
    return f"{text} ±{spread(samples):.0f} %" if len(samples) > 1 else text


def ratio_of(row, kept):
    """How many times better than the peer."""
    ours, theirs = median(kept.get("ours", [])), median(kept.get("peer", []))
    if not ours or not theirs:
        return None
    return theirs / ours if row.unit in LESS else ours / theirs


def goals(row, kept):
    """Pairs of a goal's text and whether it is reached: None where that is not known."""
    ratio, share = ratio_of(row, kept), median(kept.get("ours", []), "share")
    value = median(kept.get("ours", []))
    if row.ratio:
        yield f"{row.ratio:.2g} x {row.of}", None if ratio is None else ratio >= row.ratio
    if row.share:
        yield f"{100 * row.share:.0f} % of the limit", None if share is None else share >= row.share
    if row.most:
        yield f"at most {number(row.most, row.unit)}", None if value is None else value <= row.most


def verdict(row, kept):
    texts = []
    for text, reached in goals(row, kept):
        texts.append(text + {None: "", True: ": yes", False: ": **no**"}[reached])
    return "; ".join(texts)


def share_text(samples):
    share, rate = median(samples, "share"), median(samples, "rate")
    if share is None:
        return "-"
    return f"{100 * share:.0f} % of {samples[0]['of']}" + (f", {rate:.0f} GB/s" if rate else "")


def ratio_text(ratio, goal):
    """With as many digits as it takes to see that a goal is missed."""
    text = f"{ratio:.2f}"
    return f"{ratio:.3f}" if goal and ratio < goal <= float(text) else text


def comparison(rows, results):
    yield "| | retort | peer | times better | share of a limit | goal |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        kept = results.get(row.name, {})
        ratio = ratio_of(row, kept)
        yield " | ".join(["| " + row.title, figure(kept.get("ours"), row.unit),
                          figure(kept.get("peer"), row.unit) if row.peer else "",
                          "" if not row.peer else "-" if ratio is None else ratio_text(ratio, row.ratio),
                          share_text(kept.get("ours", [])), verdict(row, kept) + " |"])


def best_prefill(rows, results):
    """The fastest type of ours beside the fastest of theirs."""
    best = {}
    for side in ("ours", "peer"):
        found = [(median(results.get(r.name, {}).get(side, [])) or 0, r.name) for r in rows if r.group == "prefill"]
        best[side] = max(found, default=(0, ""))
    if not best["ours"][0] or not best["peer"][0]:
        return "Best prefill of ours beside the best of theirs: not measured yet (goal: 1.5 x)."
    ratio = best["ours"][0] / best["peer"][0]
    return (f"Best prefill of ours ({best['ours'][1]}) beside the best of theirs ({best['peer'][1]}): {ratio:.2f} x "
            f"(goal: 1.5 x: {'yes' if ratio >= 1.5 else '**no**'}).")


def growth(rows, results):
    yield "| | tokens/s | share of a limit |"
    yield "|---|---|---|"
    for row in rows:
        samples = results.get(row.name, {}).get("ours", [])
        yield f"| {row.title} | {figure(samples, '').strip()} | {share_text(samples)} |"


def machine(m):
    if not m:
        return "Nothing has been measured yet: `make bench` fills the tables."
    limits = ", ".join(f"{name} {number(value, unit)}" for name, (value, unit) in m["limits"].items())
    peers = "; ".join(f"{name} {version}" for name, version in sorted(m.get("peers", {}).items())) or "none"
    return (f"{m['date']}, {m['processor']} ({m['sets']}), {m['threads']} threads, {m['memory']}, {m['system']}.  "
            f"retort {m['retort']} ({m['revision']}, kernels {m['isa']}).  Limits: {limits}.  Peers: {peers}.")


def stale(m, rows, results):
    """Rows that an earlier state of the program gave."""
    for row in rows:
        there = results.get(row.name, {}).get("revision")
        if m and there and there != m["revision"]:
            yield f"* {row.title}: {there}"


def notes(rows, results):
    for row in rows:
        for why in results.get(row.name, {}).get("why", []):
            yield f"* {row.title}: {why}"


HEAD = """# Speed and memory, beside what else there is

Written by `make bench` (tests/bench/compare); do not edit.  Medians of pairs that were run in turns, with the same
number of threads on both sides; ± is half of what lies between least and most.  Models have random weights in the
shapes that `retort bench` names; llama.cpp and retort read the same file.  Limits are measured by retort in the minute
of each figure: f32 arithmetic out of the caches (prefill), reading memory (decode: weights and cache that one token
needs; the rate is measured in front of it and behind, and the pair again where the two differ by more than a tenth),
the rate of one large f32 product (training).  Pairs of a row are spread over the run.  PyTorch runs
tests/bench/peer.py.  A peak of memory is that of the whole process, libraries included.
"""


def markdown(m, rows, growing, results, quick):
    skipped, earlier = list(notes([*rows, *growing], results)), list(stale(m, [*rows, *growing], results))
    parts = [HEAD, machine(m), ""]
    if quick:
        parts += ["This was a --quick run: the figures mean nothing.", ""]
    parts += ["## Beside peers", "", *comparison(rows, results), "", best_prefill(rows, results), ""]
    if any(row.name in results for row in growing):
        parts += ["## Time grows as the arithmetic does", "",
                  "retort alone: where the share of the limit stays, it does.", "", *growth(growing, results), ""]
    if skipped:
        parts += ["## Not measured", "", *skipped, ""]
    if earlier:
        parts += ["## Measured at another revision", "", *earlier, ""]
    written = pathlib.Path(__file__).with_name(f"notes-{m['isa']}.md")  # by hand: why rows miss their goals
    if written.exists():
        parts += [written.read_text()]
    return "\n".join(parts)


def summary(row, kept):
    """One line for the terminal."""
    ratio, share = ratio_of(row, kept), median(kept.get("ours", []), "share")
    text = f"{row.title}: {figure(kept.get('ours'), row.unit)}"
    if row.peer:
        text += f", {row.of} {figure(kept.get('peer'), row.unit)}"
    if ratio is not None and math.isfinite(ratio):
        text += f", {ratio:.2f} times better"
    if share is not None:
        text += f", {100 * share:.0f} % of {kept['ours'][0]['of']}"
    return text
