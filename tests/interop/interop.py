"""interop.py - what we write is read by transformers, gguf and llama.cpp, with the same numbers.

    make interop RETORT_PYTHON=.../python RETORT_LLAMA=.../llama.cpp

RETORT_PYTHON has torch, transformers, gguf and openai; RETORT_LLAMA is a source tree of llama.cpp with its
shared libraries in RETORT_LLAMA_LIB (build/bin in it).  What is not there is skipped and said.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile


class Tally:
    """Runs retort, and counts claims."""

    def __init__(self, program):
        self.program = program
        self.passed = self.failed = self.skipped = 0

    def retort(self, args, text=""):
        p = subprocess.run([self.program] + [str(a) for a in args], input=text,
                           capture_output=True, text=True, check=False)
        return p.returncode, p.stdout, p.stderr

    def must(self, args, text=""):
        status, out, err = self.retort(args, text)
        if status != 0:
            raise RuntimeError(f"retort {' '.join(str(a) for a in args)}: {err.strip()}")
        return out

    def check(self, what, ok, why=""):
        self.passed += bool(ok)
        self.failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {what}{'' if ok else ': ' + why}", flush=True)

    def skip(self, what, why):
        self.skipped += 1
        print(f"skip {what}: {why}", flush=True)


def teachers(t):
    try:
        import openai
    except ImportError:
        t.skip("teachers", f"{sys.executable} has no openai; set RETORT_PYTHON")
        return
    import teachers as tests
    print(f"openai {openai.__version__}")
    with tempfile.TemporaryDirectory(prefix="retort-interop-") as folder:
        tests.run(t, pathlib.Path(folder))


def main():
    program, source = os.environ["retort"], pathlib.Path(os.environ["srcdir"])
    llama = os.environ.get("RETORT_LLAMA")
    t = Tally(program)
    teachers(t)
    try:
        import gguf  # noqa: F401
        import torch
        import transformers
    except ImportError as e:
        t.skip("models and templates", f"{sys.executable} has no {e.name}; set RETORT_PYTHON")
    else:
        import models
        import rounding
        import templates
        torch.set_num_threads(1)
        transformers.logging.set_verbosity_error()
        print(f"transformers {transformers.__version__}, torch {torch.__version__}")
        with tempfile.TemporaryDirectory(prefix="retort-interop-") as folder:
            models.run(t, pathlib.Path(folder), source, llama)
            rounding.run(t, pathlib.Path(folder), source, llama)
            tokenizer = pathlib.Path(folder) / "tokenizer"
            tokenizer.mkdir()
            text = (source / "tests/golden/tok-llama3-style/tokenizer.json").read_text()
            (tokenizer / "tokenizer.json").write_text(text)
            (tokenizer / "tokenizer_config.json").write_text(json.dumps(
                {"bos_token": "<s>", "eos_token": "</s>", "chat_template": "-"}))
            folders = [source / "tests/golden/chat-templates"]
            folders += [pathlib.Path(llama) / "models/templates"] if llama else []
            for f in folders:
                templates.run(t, f, tokenizer)
    print(f"{t.passed} passed, {t.failed} failed, {t.skipped} skipped")
    return t.failed > 0


if __name__ == "__main__":
    sys.exit(main())
