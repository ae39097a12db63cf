"""models.py - models that transformers wrote, through our hands, and back to others.

Each family gets a small random model with what is peculiar to it, and a tokenizer that we trained.
It goes into a folder of ours, a GGUF file and back; transformers and llama.cpp compute logits of
what we wrote, and our log-probabilities are held against those of transformers.
"""
import json
import math
import os
import pathlib
import shutil
import subprocess

import gguf
import numpy
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

SHAPE = dict(hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.2,
             torch_dtype="float32", bos_token_id=None, eos_token_id=0, pad_token_id=None)


def families(vocabulary):
    """name -> config; head_dim, ties, rotary scaling and windows differ on purpose."""
    c = transformers
    shape = dict(SHAPE, vocab_size=vocabulary)
    llama3 = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 64, "rope_theta": 10000.0}
    return {
        "qwen2": c.Qwen2Config(**shape, tie_word_embeddings=True),
        "qwen3": c.Qwen3Config(**shape, head_dim=32, tie_word_embeddings=False),
        "llama3": c.LlamaConfig(**shape, rope_parameters=llama3, tie_word_embeddings=False),
        "smollm2": c.LlamaConfig(**shape, tie_word_embeddings=True),
        "mistral": c.MistralConfig(**dict(shape, sliding_window=None), head_dim=16),
    }


# Different scripts, blanks, digits and markup.
TEXTS = ["play some jazz by Zoë at 7:30", "  two\n\n\tlines, 1234567", "天気はどう？ 🙂 <|im_end|>"]


def tokenizer_of(t, folder, source):
    """A byte-level BPE of our own, trained by a stage."""
    rows = folder / "rows.jsonl"
    text = [json.loads(line) for line in (source / "examples/assistant/data/valid.jsonl").open()]
    rows.write_text("".join(json.dumps(r) + "\n" for r in text[:300]))
    pipeline = folder / "tokenizer.cfg"
    pipeline.write_text(f"""retort = 1; name = "tok"; seed = 1;
        stages = ( {{ name = "rows"; use = "dataset"; paths = "{rows}"; }},
          {{ name = "mini"; use = "model"; hidden = 32; layers = 1; heads = 2; kv_heads = 1;
             feed_forward = 32; context = 64; data = "rows"; vocabulary = 400; result = true; }} );""")
    t.must(["run", pipeline, "--runs", folder / "runs"])
    return folder / "runs/tok/mini"


def logps(model, ids):
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), -1).numpy()


def ours(t, path, ids, vocabulary):
    """The log-probabilities of everything at each place, as `retort score` has them."""
    row = json.loads(t.must(["score", "--top", vocabulary, path], json.dumps({"ids": ids}) + "\n"))
    out = numpy.full((len(ids) - 1, vocabulary), -math.inf)
    for place, top in enumerate(row["top"][1:]):
        for token, logp in top:
            out[place, token] = logp
    return out


def check_text(t, name, path, reference):
    """Ids and renders of transformers' tokenizer from what we wrote."""
    k = AutoTokenizer.from_pretrained(path)
    lines = [x.replace("\n", " ") for x in TEXTS]
    out = t.must(["tokenize", reference], "".join(x + "\n" for x in lines))
    got = [json.loads(x) for x in out.splitlines()]
    want = [k.encode(x, split_special_tokens=True, add_special_tokens=False)
            for x in lines]
    t.check(f"{name}: transformers' tokenizer from our folder gives our ids", got == want,
            f"{got} and {want}")
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    row = json.loads(t.must(["render", reference], json.dumps({"messages": chat}) + "\n"))
    ids = k.apply_chat_template(chat, return_dict=False)
    t.check(f"{name}: chats render to the same ids", row["ids"] == list(ids),
            f"{row['ids']} and {ids}")


def check_gguf(t, name, path, folder):
    """gguf-py reads the file, and its numbers are those of our folder."""
    reader = gguf.GGUFReader(path)
    t.must(["convert", path, folder / f"{name}-f32", "--type", "f32"])
    from safetensors.numpy import load_file
    back = load_file(folder / f"{name}-f32" / "model.safetensors")
    embedding = next(x for x in reader.tensors if x.name == "token_embd.weight")
    theirs = gguf.dequantize(embedding.data, embedding.tensor_type).reshape(
        [int(x) for x in reversed(embedding.shape)])
    mine = back["model.embed_tokens.weight"]
    t.check(f"{name}: gguf-py reads {embedding.tensor_type.name} as we do",
            theirs.shape == mine.shape and numpy.array_equal(theirs, mine), "weights differ")


def llama_program(t, folder, source, llama):
    """Our few lines over llama.cpp's interface, compiled; None where it is not there."""
    if not llama:
        t.skip("llama.cpp", "set RETORT_LLAMA to its source tree")
        return None
    lib = os.environ.get("RETORT_LLAMA_LIB", str(pathlib.Path(llama) / "build/bin"))
    program = folder / "llama-logits"
    p = subprocess.run(
        [os.environ.get("CC", "cc"), "-O1", "-I", f"{llama}/include", "-I", f"{llama}/ggml/include",
         source / "tests/interop/llama-logits.c", "-o", program, "-L", lib, "-lllama", "-lggml",
         "-lggml-base", f"-Wl,-rpath,{lib}"], capture_output=True, text=True, check=False)
    if p.returncode:
        t.skip("llama.cpp", "its library does not link: " + p.stderr.strip().splitlines()[-1])
        return None
    return program


def llama_logits(program, path, ids):
    p = subprocess.run([program, path] + [str(i) for i in ids], capture_output=True, check=False)
    if p.returncode:
        raise RuntimeError("llama.cpp: " + p.stderr.decode()[-300:])
    return numpy.frombuffer(p.stdout, numpy.float32).reshape(len(ids), -1).astype(float)


def check_answers(t, name, program, path, ids):
    """Each token of our greedy answer is the likeliest that llama.cpp sees in its place."""
    row = json.dumps({"ids": ids}) + "\n"
    answer = json.loads(t.must(["generate", "--greedy", "--max-tokens", 40, path], row))["ids"]
    logits = llama_logits(program, path, ids + answer)
    best = logits[len(ids) - 1:-1].argmax(-1)
    other = int((best != numpy.array(answer)).sum())
    t.check(f"{name}: {len(answer)} tokens of a greedy answer, {other} not llama.cpp's",
            len(answer) > 0 and other == 0)


def check_llama(t, name, program, path, ids, want, bound):
    logits = llama_logits(program, path, ids)[:, :want.shape[1]]
    got = logits - numpy.log(numpy.exp(logits - logits.max(-1, keepdims=True)).sum(
        -1, keepdims=True)) - logits.max(-1, keepdims=True)
    worst = abs(got - want).max()
    t.check(f"{name}: llama.cpp's logits differ by {worst:.1e}", worst < bound, f"bound {bound}")


def one(t, name, config, folder, text, program):
    torch.manual_seed(1)
    path = folder / name
    model = AutoModelForCausalLM.from_config(config).float().eval()
    for p in model.parameters():  # norms that are 1 and biases that are 0 would prove nothing
        if p.dim() == 1:
            p.data += 0.1 * torch.randn_like(p)
    model.save_pretrained(path)
    for f in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (text / f).exists():
            shutil.copy(text / f, path / f)
    ids = json.loads(t.must(["tokenize", path], "play some jazz by the rolling stones\n"))
    want = logps(model, ids)
    worst = abs(ours(t, path, ids, config.vocab_size) - want[:-1]).max()
    t.check(f"{name}: our log-probabilities differ by {worst:.1e}", worst < 1e-4, "bound 1e-4")

    out, file, back = folder / f"{name}-out", folder / f"{name}.gguf", folder / f"{name}-back"
    t.must(["convert", path, out])
    t.must(["convert", path, file])
    t.must(["convert", file, back])
    for where, kind in ((out, "our folder"), (back, "our folder from GGUF")):
        again = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32).eval()
        worst = abs(logps(again, ids) - want).max()
        t.check(f"{name}: transformers from {kind}, logits differ by {worst:.1e}", worst < 1e-5,
                "bound 1e-5: the weights are the same bits")
    check_text(t, name, out, path)
    for dtype in ("q8_0", "q4_0"):
        small = folder / f"{name}-{dtype}.gguf"
        t.must(["convert", path, small, "--type", dtype])
        check_gguf(t, f"{name}-{dtype}", small, folder)
    if program:
        check_llama(t, name, program, file, ids, want, 1e-4)
        check_answers(t, name, program, file, ids)


def run(t, folder, source, llama):
    text = tokenizer_of(t, folder, source)
    vocabulary = json.loads((text / "config.json").read_text())["vocab_size"]
    program = llama_program(t, folder, source, llama)
    for name, config in families(vocabulary).items():
        try:
            one(t, name, config, folder, text, program)
        except (RuntimeError, OSError, KeyError, ValueError) as e:
            t.check(name, False, f"{type(e).__name__}: {e}")
