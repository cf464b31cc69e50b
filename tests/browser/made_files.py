"""Files that tests draw with: pictures, LoRAs and embeddings of the embedded model, and a hub that has it."""

import hashlib
import json
import struct
import threading
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SPRITES = Path(__file__).resolve().parents[2] / "assets/sprites"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def png(width, height, colour):
    """A PNG file of colours: `colour(x, y)` gives red, green and blue."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"".join(bytes(colour(x, y)) for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)


def halves(side=128):
    """A picture that is green on the left and blue on the right."""
    return png(side, side, lambda x, _: (40, 160, 60) if x < side // 2 else (40, 80, 220))


def safetensors(tensors):
    """A safetensors file of `{name: (shape, values)}`, in single precision."""
    header, data = {}, b""
    for name, (shape, values) in tensors.items():
        part = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data


def lora(weight=0.5):
    """A LoRA that changes one layer of the embedded model: what its U-Net reads of the prompt."""
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v"
    return safetensors(
        {
            f"{layer}.lora_down.weight": ([1, 128], [weight] * 128),
            f"{layer}.lora_up.weight": ([160, 1], [weight] * 160),
            f"{layer}.alpha": ([], [1.0]),
        }
    )


def embedding(token):
    """A textual inversion of one vector."""
    return safetensors({token: ([1, 128], [0.01 * (place % 7) for place in range(128)])})


@contextmanager
def hub(repo, gate=None):
    """A hub whose only repository is the embedded model. Large files wait for `gate`."""
    files = {str(path.relative_to(SPRITES)): path.read_bytes() for path in SPRITES.rglob("*") if path.is_file()}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(with_body=True)

        def do_HEAD(self):
            self.answer(with_body=False)

        def answer(self, with_body):
            if self.path.startswith(f"/api/models/{repo}/revision/"):
                listing = {"id": repo, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
                return self.send(200, json.dumps(listing).encode(), {}, with_body)
            name = self.path.removeprefix(f"/{repo}/resolve/{COMMIT}/")
            if name not in files:
                return self.send(404, b"", {"x-error-code": "EntryNotFound"}, with_body)
            content, headers = files[name], {"x-repo-commit": COMMIT}
            if name.endswith(".safetensors"):
                digest = hashlib.sha256(content).hexdigest()
                headers |= {"x-linked-etag": f'"{digest}"', "x-linked-size": str(len(content))}
            else:
                digest = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
                headers["etag"] = f'"{digest}"'
            start = int(self.headers.get("range", "bytes=0-")[6:].split("-")[0])
            status = 206 if start else 200
            if start:
                headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send(status, content[start:], headers, with_body)

        def send(self, status, body, headers, with_body):
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if not with_body:
                return
            half = len(body) // 2 if gate and len(body) > 1_000_000 else len(body)
            self.wfile.write(body[:half])
            if half < len(body):
                self.wfile.flush()
                gate.wait(20)
                try:
                    self.wfile.write(body[half:])
                except OSError:
                    pass  # the download was ended

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        if gate:
            gate.set()
        server.shutdown()
