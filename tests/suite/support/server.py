"""An MCP server on stdio for tests: `server.py MODE [FILE]`. What it does beside answering is its mode."""

import json
import os
import subprocess
import sys
import time

MODE, FILE = sys.argv[1], (sys.argv[2:] or [None])[0]


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text_tool(name, description, **more):
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    return {"name": name, "description": description, "inputSchema": schema, **more}


def tools():
    if FILE and MODE == "listed":
        with open(FILE, encoding="utf-8") as file:
            return json.load(file)
    return [
        text_tool("echo", "Gives back what it is given.", annotations={"readOnlyHint": True}),
        text_tool("sayTwice", "Gives it back twice."),
        {"name": "environ", "description": "Tells its environment.", "inputSchema": {"type": "object"}},
        {"name": "pid", "description": "Tells its number.", "inputSchema": {"type": "object"}},
        {
            "name": "typed",
            "description": "Gives a number, or what is none.",
            "inputSchema": {"type": "object", "properties": {"value": {}}},
            "outputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
        },
        {"name": "fails", "description": "Fails.", "inputSchema": {"type": "object"}},
        {"name": "large", "description": "Gives five MiB.", "inputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        {"name": "notify", "description": "Says that its list changed.", "inputSchema": {"type": "object"}},
    ]


def said(text, **more):
    return {"content": [{"type": "text", "text": text}], **more}


def ask(method, params):
    """Asks the client for something, and gives its answer."""
    send({"id": "mine", "method": method, "params": params})
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("id") == "mine":
            return message
    return None


def call(name, arguments, call_id):
    if MODE == "slow":
        time.sleep(600)
    if MODE == "exits":
        print("no more of this", file=sys.stderr, flush=True)
        os._exit(7)
    if MODE == "wrong-ids":
        for other in (call_id + 1000, "x", call_id - 1, None):
            send({"id": other, "result": said("not yours")})
    if MODE == "spam":
        for n in range(1_000_000):
            send({"method": "notifications/progress", "params": {"progressToken": 0, "progress": n}})
    if MODE == "asks":
        schema = {"type": "object", "properties": {}}
        asked = [
            ("sampling/createMessage", {"messages": [], "maxTokens": 5}),
            ("elicitation/create", {"message": "Your password?", "requestedSchema": schema}),
            ("roots/list", {}),
        ]
        return said(" ".join(str((ask(*one) or {}).get("error", {}).get("code")) for one in asked))
    if name == "echo":
        return said(arguments["text"])
    if name == "sayTwice":
        return said(arguments["text"] * 2)
    if name == "environ":
        return said("\n".join(f"{name}={value}" for name, value in sorted(os.environ.items())))
    if name == "pid":
        return said(str(os.getpid()))
    if name == "typed":
        return said("x", structuredContent={"n": arguments.get("value")})
    if name == "large":
        return said("x" * arguments.get("n", 5 << 20))
    if name == "notify":
        send({"method": "notifications/tools/list_changed"})
        return said("told")
    return said("it cannot be done", isError=True)


def main():
    if MODE == "hangs":
        time.sleep(600)
    if MODE == "dies":
        print("I do not like it here", file=sys.stderr, flush=True)
        sys.exit(3)
    if MODE == "long-line":
        while True:
            sys.stdout.write("x" * 65536)
    if MODE == "stderr":
        for _ in range(64):
            sys.stderr.write("\x1b[2Jnoise " * 8192 + "\n")
    if MODE == "forks":
        child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
        with open(FILE, "w", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {child.pid}")
    for line in sys.stdin:
        message = json.loads(line)
        method, call_id = message.get("method"), message.get("id")
        if call_id is None:
            continue
        if method == "initialize":
            info = {"name": "fake", "version": "1.2.3"}
            result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": True}}, "serverInfo": info}
        elif method == "tools/list":
            result = {"tools": tools()}
        elif method == "tools/call" and MODE == "meta":
            result = said(json.dumps(message["params"].get("_meta")))
        elif method == "tools/call":
            result = call(message["params"]["name"], message["params"].get("arguments", {}), call_id)
        else:
            send({"id": call_id, "error": {"code": -32601, "message": f"no {method} here"}})
            continue
        send({"id": call_id, "result": result})


main()
