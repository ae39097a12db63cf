"""templates.py - chat templates rendered by transformers and by us are the same text.

Every *.jinja of a folder, with conversations from plain to tools whose results come back.  Where
transformers refuses (a template may forbid a role), we must refuse too.
"""
import json
import pathlib

TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a place.",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "Where <it> is & what's \"said\"."},
        "unit": {"type": "string", "enum": ["c", "f"]},
        "days": {"type": ["integer", "null"], "description": "How many"}},
        "required": ["city"]}}}]

USER = {"role": "user", "content": "Weather in Zürich, \"now\"?"}
REPLY = {"role": "assistant", "content": " It rains.\n"}


def call(arguments):
    return {"role": "assistant", "content": "", "tool_calls": [
        {"id": "abcdefgh1", "type": "function",
         "function": {"name": "get_weather", "arguments": arguments}}]}


def result(content):
    return {"role": "tool", "tool_call_id": "abcdefgh1", "name": "get_weather", "content": content}


CASES = {
    "plain": {"messages": [USER]},
    "system": {"messages": [{"role": "system", "content": "Be brief."}, USER]},
    "turns": {"messages": [USER, REPLY, {"role": "user", "content": "And 明日?"}, REPLY]},
    "thought": {"messages": [USER, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nRain."},
                             {"role": "user", "content": "Thanks"}]},
    "tools": {"messages": [USER], "tools": TOOLS},
    "call": {"messages": [USER, call({"city": "Zürich", "days": 2})], "tools": TOOLS},
    "answered": {"messages": [{"role": "system", "content": "Be brief."}, USER,
                              call({"city": "Zürich", "unit": "c"}), result('{"t": 21.5}'),
                              {"role": "assistant", "content": "21.5 degrees."}], "tools": TOOLS},
}


# What we do not follow, and why.
LIMITS = {
    "meetkai-functionary-medium-v3.1": "text added to what is marked safe is escaped as HTML",
}


def theirs(template, case, prompt):
    """What transformers renders, or the exception."""
    from transformers.utils.chat_template_utils import render_jinja_template
    try:
        texts, _ = render_jinja_template(
            conversations=[case["messages"]], tools=case.get("tools"), chat_template=template,
            add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>")
        return texts[0]
    except Exception as e:  # whatever the template's own mistakes raise
        return e


def run(t, folder, model):
    """t counts, model has the tokenizer that `render` wants."""
    from jinja2.exceptions import TemplateError
    for path in sorted(pathlib.Path(folder).glob("*.jinja")):
        if path.stem in LIMITS:
            t.skip(f"template {path.stem}", LIMITS[path.stem])
            continue
        template = path.read_text()
        rows = [(name, case, prompt) for name, case in CASES.items() for prompt in (False, True)]
        wrong = []
        for name, case, prompt in rows:
            want = theirs(template, case, prompt)
            args = ["render", "--template", str(path)] + (["-g"] if prompt else []) + [model]
            status, out, err = t.retort(args, json.dumps(case) + "\n")
            got = json.loads(out)["text"] if status == 0 else None
            if isinstance(want, Exception):
                # What only Python's types cannot do (a generator to JSON) may work here.
                if status == 0 and isinstance(want, TemplateError):
                    wrong.append(f"{name}{' -g' if prompt else ''}: transformers refuses: {want}")
            elif got != want:
                at = next((i for i, (a, b) in enumerate(zip(got or "", want)) if a != b),
                          min(len(got or ""), len(want)))
                wrong.append(f"{name}{' -g' if prompt else ''}: " + (
                    err.strip() if got is None else
                    f"at {at}: {got[at-20:at+30]!r}, want {want[at-20:at+30]!r}"))
        t.check(f"template {path.stem}", not wrong, "; ".join(wrong[:3]) + f" ({len(wrong)} of {len(rows)})")
