"""A studio that runs, for every suite of tests in Python."""

import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def ae():
    """The command under test."""
    path = Path(os.environ.get("AE", ROOT / "target/release/ae"))
    assert path.is_file(), f"{path} is missing; build it with `cargo build --release -p ae-cli`"
    return path


@pytest.fixture(scope="session")
def studio(request, tmp_path_factory):
    """The address of a running studio, with an empty gallery of its own."""
    if url := os.environ.get("STUDIO_URL"):
        yield url.rstrip("/")
        return
    with serving(request.getfixturevalue("ae"), tmp_path_factory.mktemp("gallery")) as address:
        yield address.rstrip("/")


@contextmanager
def serving(ae, gallery, *options):
    """Runs `ae serve` and gives the address that it prints."""
    command = [ae, "serve", "--port", "0", "--gallery", gallery, *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for line in server.stdout:
            if re.fullmatch(r"http://127\.0\.0\.1:\d+/\S*", line.strip()):
                yield line.strip()
                break
        else:
            pytest.fail(f"`ae serve` ended with {server.wait()} before it printed its address")
    finally:
        server.terminate()
        server.wait(timeout=20)
