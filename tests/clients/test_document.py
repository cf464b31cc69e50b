"""The OpenAPI document, checked by the answers themselves; and the examples of docs/studio.md."""

import json
import re
import subprocess
import sys

from served import ROOT


def test_answers_are_as_the_document_says(send, documented):
    job = send("POST", "/api/generate", {"prompt": "a lion", "steps": 2, "width": 64, "height": 64}).json()
    drawn = send("POST", "/sdapi/v1/txt2img", {"prompt": "a lion", "steps": 1, "width": 64, "height": 64})
    assert drawn.ok, drawn.text
    job = send("GET", f"/api/jobs/{job['id']}").json()
    assert job["state"] == "done"
    entry = job["pictures"][0]
    for path in documented.document["paths"]:
        if "get" in documented.document["paths"][path] and not path.endswith("/events"):
            of = job["id"] if "/jobs/" in path else entry
            send("GET", path.replace("{id}", of))
            send("GET", path.replace("{id}", "none"))
    send("POST", "/api/tokens", {"prompt": "a lion"})
    send("POST", "/api/generate", {"prompt": 3})
    send("POST", "/v1/images/generations", {"prompt": "a lion", "steps": 1, "width": 64, "height": 64})
    send("POST", "/v1/images/generations", {"prompt": 3})
    for name in ("interrupt", "skip", "refresh-checkpoints", "interrogate"):
        send("POST", f"/sdapi/v1/{name}")
    own = {(method, path) for path, all in documented.document["paths"].items() for method in all}
    left = {path for _, path in own - documented.checked}
    assert len(documented.checked) > 40, sorted(left)


def example(language):
    text = (ROOT / "docs/studio.md").read_text()
    [code] = re.findall(rf"```{language}\n(# From another program.*?)```", text, re.S)
    return code


def test_the_python_example(studio, tmp_path):
    code = example("python").replace("http://127.0.0.1:7860", studio).replace('"steps": 50', '"steps": 2')
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=120)
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_the_curl_example(studio, tmp_path):
    code = example("sh").replace("http://127.0.0.1:7860", studio).replace('"steps": 50', '"steps": 2')
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", code], check=True, cwd=tmp_path, timeout=120, capture_output=True)
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG"), done.stderr
    assert json.loads((tmp_path / "answer.json").read_text())["data"][0]["seed"] == 7
