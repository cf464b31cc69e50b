"""A studio, a report and a browser whose errors fail the test."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

sys.path.append(str(Path(__file__).resolve().parents[1]))
from served import ROOT, ae, serving, studio  # noqa: E402,F401: fixtures

PAGE_FOLDERS = [ROOT / "crates/ae-server/page", ROOT / "crates/ae-figures/page"]
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def guarded_studio(ae, tmp_path):
    """The address, with its token, of a studio that asks for one."""
    with serving(ae, tmp_path, "--token", "not-to-be-guessed-0123") as address:
        yield address


@pytest.fixture(scope="session")
def report(request, tmp_path_factory):
    """The address of a report of a guided and a plain run."""
    if path := os.environ.get("REPORT_FILE"):
        return Path(path).resolve().as_uri()
    output = tmp_path_factory.mktemp("report")
    command = [request.getfixturevalue("ae"), "generate", "--prompt", "a lion and a red car", "--seeds", "7"]
    # Thresholds that the first steps do not reach by themselves, so that there is refinement to show.
    command += ["--steps", "30", "--thresholds", "0:0.7,4:0.9", "--compare", "--report", "--output", output, "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    [path] = [line for line in done.stdout.splitlines() if line.endswith(".html")]
    return (Path.cwd() / path).as_uri()


@pytest.fixture(scope="session")
def evaluation(ae, tmp_path_factory):
    """The address of the page of a small evaluation."""
    place = tmp_path_factory.mktemp("evaluation")
    command = [ae, "eval", "run", "-q", "--report", "--prompts", "animals", "--limit", "2", "--seeds", "0,1"]
    command += ["--methods", "stable-diffusion,attend-and-excite", "--steps", "12", "--output", place]
    subprocess.run(command, capture_output=True, text=True, check=True)
    return (place / "report/index.html").as_uri()


@pytest.fixture(scope="session")
def browser():
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert path, "no Chromium; name it in CHROMIUM"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


class Watch:
    """What a page did that it should not have done."""

    def __init__(self):
        self.origins = set()
        self.expected = []
        self.faults = []
        self.requests = []

    def expect(self, text):
        """Console errors with this text are part of the test."""
        self.expected.append(text)

    def follow(self, page):
        page.on("console", lambda message: message.type == "error" and self.fault(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.fault(f"exception: {error}"))
        page.on("request", lambda request: self.check(request.url))

    def fault(self, text):
        if not any(expected in text for expected in self.expected):
            self.faults.append(text)

    def check(self, url):
        parts = urlsplit(url)
        if parts.scheme in ("data", "blob"):
            return
        self.requests.append(url)
        if f"{parts.scheme}://{parts.netloc}" not in self.origins:
            self.faults.append(f"request to {url}")


@pytest.fixture
def watch():
    watch = Watch()
    yield watch
    assert watch.faults == []


@pytest.fixture
def new_page(browser, watch):
    """Opens pages with a width and a colour scheme."""
    contexts = []

    def new(width=1280, height=800, scheme="light", first_visit=False, **options):
        viewport = {"width": width, "height": height}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, accept_downloads=True, **options)
        context.set_default_timeout(30_000)
        contexts.append(context)
        if not first_visit:
            context.add_init_script("localStorage['attend-and-excite-form'] ??= '{}'")
        if os.environ.get("PAGE_FROM_DISK"):
            serve_from_disk(context)
        page = context.new_page()
        watch.follow(page)
        return page

    yield new
    for context in contexts:
        context.close()


def serve_from_disk(context):
    """Answers with the page's files as they are on the disk, not as they are compiled in."""

    def fulfill(route):
        name = urlsplit(route.request.url).path.removeprefix("/assets/").strip("/") or "index.html"
        answer = route.fetch(max_redirects=0)
        if name == "index.html" and answer.status != 200:  # it wants a token, or takes one
            route.fulfill(response=answer)
            return
        [path] = [folder / name for folder in PAGE_FOLDERS if (folder / name).exists()]
        types = {".html": "text/html", ".css": "text/css", ".svg": "image/svg+xml"}
        content_type = types.get(path.suffix, "text/javascript") + "; charset=utf-8"
        policy = "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        headers = {"Content-Type": content_type, "Content-Security-Policy": policy}
        route.fulfill(body=path.read_bytes(), headers=headers)

    context.route(re.compile(r"^http://127\.0\.0\.1:\d+/(assets/[^/]+)?$"), fulfill)


@pytest.fixture
def open_studio(new_page, studio, watch):
    """Opens the studio and waits until its form works; cancels at the end what still runs."""
    watch.origins.add(studio)
    pages = []

    def open_page(**options):
        page = new_page(**options)
        pages.append(page)
        page.goto(studio)
        page.locator("#words button").first.wait_for()
        return page

    yield open_page
    for page in pages[:1]:
        for job in page.request.get(f"{studio}/api/jobs").json()["jobs"]:
            if job["state"] in ("queued", "running"):
                page.request.delete(f"{studio}/api/jobs/{job['id']}")
