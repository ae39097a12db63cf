"""rounding.py - what rounding activations costs, here and in llama.cpp.

Both multiply the weights of one file by rounded activations.  Against the same weights and
activations in f32, the mean divergence (Kullback-Leibler, in nats) over text must not be larger here."""
import json
import os
import subprocess

import numpy

from models import llama_logits, llama_program

TYPES, LENGTH, CHUNKS = ("q8_0", "q4_0", "q5_0", "q4_1", "q4_k", "q6_k", "f16", "bf16"), 256, 16
NOISE = 1.3  # of one type's mean over 4096 places: a few places make most of it


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - numpy.log(numpy.exp(x).sum(-1, keepdims=True))


def own(path, how, ids):
    p = subprocess.run([os.environ["rounded"], path, how] + [str(i) for i in ids], capture_output=True, check=True)
    return log_softmax(numpy.frombuffer(p.stdout, numpy.float32).reshape(len(ids), -1).astype(float))


def chunks_of(t, source, model):
    found = []
    for name in ("README", "NEWS", "core/cli/man/retort.1", "core/cli/man/retort-pipeline.5"):
        ids = json.loads(t.must(["tokenize", "--whole", model], (source / name).read_text()[:9000]))
        found += [ids[i:i + LENGTH] for i in range(0, len(ids) - LENGTH + 1, LENGTH)]
    return found[:CHUNKS]


def run(t, folder, source, llama):
    program = llama_program(t, folder, source, llama)
    if not program:
        return
    model = source / "examples/assistant/teacher"
    chunks = chunks_of(t, source, model)
    all_ours, all_theirs = 0, 0
    for dtype in TYPES:
        path = folder / f"rounding-{dtype}.gguf"
        t.must(["convert", model, path, "--type", dtype])
        ours, theirs = [], []
        for ids in chunks:
            want = own(path, "exact", ids)
            for rounded, to in ((own(path, "rounded", ids), ours),
                                (log_softmax(llama_logits(program, path, ids)), theirs)):
                to.append((numpy.exp(want) * (want - rounded)).sum(-1).mean())
        a, b = numpy.mean(ours), numpy.mean(theirs)
        t.check(f"{dtype}: rounded activations diverge by {a:.2e} nats, llama.cpp's by {b:.2e}",
                a <= NOISE * b, f"bound {NOISE} of llama.cpp's")
        all_ours, all_theirs = all_ours + a / len(TYPES), all_theirs + b / len(TYPES)
    t.check(f"all types: {all_ours:.2e} nats, llama.cpp {all_theirs:.2e}", all_ours <= all_theirs,
            "should not be more")
