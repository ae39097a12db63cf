"""teachers.py - teacher-openai against the types of the openai package: every request is one that it
accepts, and its own completions, with all their members, are read."""
import http.server
import json
import threading


def completion(body, count):
    """What a server of theirs would answer: a call of the first tool, else text."""
    from openai.types.chat import ChatCompletion
    last = body["messages"][-1]
    message = {"role": "assistant", "refusal": None, "annotations": []}
    if body.get("tools") and last["role"] != "tool":
        name = body["tools"][0]["function"]["name"]
        message["content"] = None
        message["tool_calls"] = [{"id": f"call_{count}", "type": "function", "function": {
            "name": name, "arguments": json.dumps({"city": "Rome"})}}]
    else:
        message["content"] = f"re {last['content']}"
    token = {"token": "re", "logprob": -0.5, "bytes": [114, 101], "top_logprobs": []}
    return ChatCompletion.model_validate({
        "id": f"c{count}", "object": "chat.completion", "created": 1700000000,
        "model": body["model"], "service_tier": "default", "system_fingerprint": None,
        "choices": [{"index": i, "message": message, "finish_reason": "stop",
                     "logprobs": {"content": [token], "refusal": None}}
                    for i in range(body.get("n") or 1)],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
                  "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}}})


def start(wrong):
    """A server that notes what the package's types refuse."""
    from openai.types.chat import completion_create_params as params
    from pydantic import TypeAdapter, ValidationError
    accepts = TypeAdapter(params.CompletionCreateParamsNonStreaming)
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append(body)
            try:
                accepts.validate_python(body)
            except ValidationError as e:
                wrong.append(str(e))
            out = completion(body, len(seen)).model_dump_json().encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, seen


PIPELINE = """retort = 1; name = "p"; stages = (
  { name = "pool"; use = "dataset"; paths = "rows.jsonl"; },
  { name = "drafts"; use = "sample"; data = "pool"; n = 3; result = true; teacher = %s; },
  { name = "talks"; use = "prototype"; data = "pool"; result = true; tools = "tools.json";
    functions = { use = "table"; function = "find"; path = "cities.csv"; }; teacher = %s; } );
"""


def run(t, folder):
    """20 rows, each sampled and talked about."""
    wrong = []
    server, seen = start(wrong)
    teacher = ('{ use = "openai"; model = "m"; key_env = ""; cache = "cache.sqlite"; '
               f'url = "http://127.0.0.1:{server.server_port}/v1"; }}')
    (folder / "p.cfg").write_text(PIPELINE % (teacher, teacher))
    (folder / "rows.jsonl").write_text("".join(json.dumps(
        {"id": str(i), "messages": [{"role": "user", "content": f"q {i}"}]}) + "\n"
        for i in range(20)))
    (folder / "cities.csv").write_text("city,people\nRome,2800000\n")
    (folder / "tools.json").write_text(json.dumps([{"type": "function", "function": {
        "name": "find", "parameters": {"type": "object", "properties": {
            "city": {"type": "string"}}}}}]))
    t.must(["run", folder / "p.cfg", "--runs", folder / "runs"])
    server.shutdown()
    t.check(f"requests are what the openai package accepts ({len(seen)})",
            len(seen) == 60 and not wrong, "".join(wrong[:1]))
    drafts = [json.loads(line) for line in open(folder / "runs/p/drafts/rows.jsonl")]
    t.check("its completions are read, three to a row",
            [d["candidates"] for d in drafts] ==
            [[{"role": "assistant", "content": f"re q {i}"}] * 3 for i in range(20)],
            str(drafts[:1]))
    talks = [json.loads(line) for line in open(folder / "runs/p/talks/rows.jsonl")]
    t.check("its calls are made, and answered",
            [m["role"] for m in talks[0]["messages"]] == ["user", "assistant", "tool", "assistant"]
            and talks[0]["messages"][1]["tool_calls"][0]["function"]["arguments"] ==
            {"city": "Rome"}, str(talks[:1]))
