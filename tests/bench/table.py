"""table.py - the rows of the comparison, each with its goal, and those that show how time grows."""
import dataclasses
import typing

from programs import Missing

LARGE, SHORT_PROMPT = "qwen2.5-0.5b", 16
REQUESTS = 30  # of some milliseconds each, in one process
QUANTIZED = ("q8_0", "q4_0", "q4_k_m")
BF16_PRODUCTS = "products=bf16"  # the parameter of training that multiplies in bf16; a retort without it is told so


@dataclasses.dataclass
class Sizes:
    """How much is measured at once; --quick takes little of it."""
    prompt: int = 512
    tokens: int = 64
    steps: int = 2


QUICK = Sizes(prompt=32, tokens=8, steps=1)


@dataclasses.dataclass
class Row:
    """Something that is measured here, and perhaps by a peer, in turns.  Goals that are None do not apply."""
    name: str
    title: str
    ours: typing.Callable
    peer: typing.Callable = None
    of: str = ""             # the peer
    unit: str = "tokens/s"   # ms and MB: less is better
    ratio: float = None      # times better than the peer, at least
    share: float = None      # of the limit, at least
    most: float = None       # the value itself, at most
    pairs: int = None        # runs that are enough for what hardly varies

    @property
    def group(self):
        return self.name.split("-")[0]

    @property
    def trains(self):
        """These come last: a virtual machine may give the memory that they leave back to its host, and whoever takes
        some then waits for it."""
        return self.group in ("train", "memory", "growth")


def infer(b, shape, kind, part, repeat=1, **options):
    """A row's own side: a part of retort bench on a file."""
    args = [x for k, v in options.items() for x in ("--" + k, v)]
    return b.retort.measure(b.weights(shape, kind), part, [*args, "--repeat", repeat])


def train(b, shape, batch, length, *settings):
    args = ["--batch", f"{batch}x{length}", "--repeat", b.sizes.steps]
    for s in settings:
        args += ["--set", s]
    try:
        return b.retort.measure(shape, "train", args)
    except RuntimeError as e:
        if "has no parameter" in str(e):
            raise Missing("this retort has no " + " ".join(settings)) from None
        raise


def faster_of_torch(b, *shape):
    """With bf16 products, by autocast, or without: where the processor has them, one or the other is faster."""
    return max((b.torch.train(*shape, b.sizes.steps, numbers) for numbers in ("f32", "bf16")),
               key=lambda found: found["value"])


def memory_of(found):
    return {"value": found["memory"] / 1e6}


def prefill_rows(wide):
    for kind in (*QUANTIZED, "bf16", "f16"):
        goal = 1.5 if kind in QUANTIZED or wide else 1.0
        yield Row("prefill-" + kind, f"prefill 512, {kind}",
                  lambda b, k=kind: infer(b, LARGE, k, "prefill", prompt=b.sizes.prompt),
                  lambda b, k=kind: {"value": b.llama.bench(b.weights(LARGE, k), b.sizes.prompt, 0)[0]},
                  "llama.cpp", ratio=goal)


def decode_rows():
    for kind in (*QUANTIZED, "bf16"):
        yield Row("decode-" + kind, f"decode, one sequence, {kind}",
                  lambda b, k=kind: infer(b, LARGE, k, "decode", sequences=1, tokens=b.sizes.tokens),
                  lambda b, k=kind: {"value": b.llama.bench(b.weights(LARGE, k), 0, b.sizes.tokens)[0]},
                  "llama.cpp", ratio=1.2, share=.85)


def batch_rows():
    for n in (8, 32):
        for kind in QUANTIZED:
            yield Row(f"batch-{n}-{kind}", f"decode, {n} sequences at once, {kind}",
                      lambda b, n=n, k=kind: infer(b, LARGE, k, "decode", sequences=n, tokens=b.sizes.tokens),
                      lambda b, n=n, k=kind: {"value": b.llama.batched(b.weights(LARGE, k), SHORT_PROMPT,
                                                                       b.sizes.tokens, n)},
                      "llama.cpp", ratio=2)


def train_rows(wide):
    small = ("10m", 16, 128), ("2m", 32, 64)
    for shape, batch, length, share in ((LARGE, 1, 512, .7), (LARGE, 4, 512, .7), *((*s, None) for s in small)):
        yield Row(f"train-{shape}-{batch}x{length}", f"training step, {shape}, {batch} x {length}, f32",
                  lambda b, a=(shape, batch, length): train(b, *a),
                  lambda b, a=(shape, batch, length): b.torch.train(*a, b.sizes.steps),
                  "PyTorch", ratio=1.5, share=share)
    yield Row("train-bf16", f"training step, {LARGE}, 1 x 512, products in bf16",
              lambda b: train(b, LARGE, 1, 512, BF16_PRODUCTS), lambda b: train(b, LARGE, 1, 512),
              "retort, f32", ratio=1.3)
    for shape, batch, length in small if wide else ():
        title = f"training step, {shape}, {batch} x {length}, products bf16, theirs bf16 or f32"
        yield Row(f"train-bf16-{shape}", title,
                  lambda b, a=(shape, batch, length): train(b, *a, BF16_PRODUCTS),
                  lambda b, a=(shape, batch, length): faster_of_torch(b, *a),
                  "PyTorch", ratio=1.5)


def memory_rows():
    for name, how, settings, goal in (
            ("plain", "f32 moments", (), 1 / .85),
            ("saving", "recompute, small_moments", ("recompute=true", "small_moments=true"), 1 / .6)):
        yield Row("memory-" + name, f"peak memory of a step, {LARGE}, 1 x 512, {how}",
                  lambda b, s=settings: memory_of(train(b, LARGE, 1, 512, *s)),
                  lambda b: memory_of(b.torch.train(LARGE, 1, 512, 1)), "PyTorch", unit="MB", ratio=goal, pairs=1)


def request_of_llama(b):
    prompt, tokens = b.llama.bench(b.weights("2m", "q8_0"), 20, 40, REQUESTS)
    return {"value": 1e3 * (20 / prompt + 40 / tokens)}


def answer_rows():
    yield Row("request-2m", "one request of 20 + 40 tokens, 2m, q8_0",
              lambda b: infer(b, "2m", "q8_0", "request", REQUESTS, prompt=20, tokens=40), request_of_llama,
              "llama.cpp", unit="ms", ratio=3)
    yield Row("load-0.5b", f"open the file, answer one token, {LARGE}, q8_0",
              lambda b: infer(b, LARGE, "q8_0", "load"), unit="ms", most=150)


def rows(wide):
    """All of them.  wide: the processor multiplies bf16."""
    return [*prefill_rows(wide), *decode_rows(), *batch_rows(), *answer_rows(), *train_rows(wide),
            *memory_rows()]


# ---- time grows as the arithmetic does ------------------------------------------------------------------------

def growing(name, what, values, title, measure):
    return [Row(f"growth-{name}-{v}", title.format(v), lambda b, v=v: measure(b, v), of=what) for v in values]


def of_shape(b, part, *args, threads=None):
    return b.retort.measure("10m", part, [*args, "--repeat", b.sizes.steps], threads)


def growth_rows():
    """The peer's place holds what grows."""
    return [
        *growing("prefill", "prompt", (128, 256, 512, 1024, 2048, 4096), f"prefill {{}}, {LARGE}, q8_0",
                 lambda b, v: infer(b, LARGE, "q8_0", "prefill", prompt=v)),
        *growing("batch", "sequences", (1, 2, 4, 8, 16, 32, 64), f"decode {{}} at once, {LARGE}, q8_0",
                 lambda b, v: infer(b, LARGE, "q8_0", "decode", sequences=v, tokens=b.sizes.tokens)),
        *growing("vocabulary", "vocabulary", (1024, 4096, 16384, 65536, 151936),
                 "training step, 10m with {} tokens in its vocabulary, 16 x 128",
                 lambda b, v: of_shape(b, "train", "--batch", "16x128", "--vocabulary", v)),
        *growing("threads", "threads", (1, 2), "training step, 10m, 16 x 128, threads: {}",
                 lambda b, v: of_shape(b, "train", "--batch", "16x128", threads=v)),
        *growing("prefill-threads", "threads", (1, 2), "prefill 512, 10m, q8_0, threads: {}",
                 lambda b, v: of_shape(b, "prefill", threads=v)),
    ]
