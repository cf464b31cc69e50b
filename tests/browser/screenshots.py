"""Screenshots of the main states of the studio, to be looked at: `python3 tests/browser/screenshots.py OUT`."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from actions import TIMEOUT, generate, set_field, wait_for_step, wait_until_finished
from conftest import CHROMIUM_OPTIONS, ROOT, serve_from_disk, serving
from playwright.sync_api import expect, sync_playwright

DEVICES = {
    "desktop": {"viewport": {"width": 1440, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}


def states(page):
    """Goes from state to state and gives the name of each."""
    page.locator("#words button").first.wait_for()
    yield "first-visit"
    for group in page.locator("form details:not(.menu)").all():
        group.evaluate("group => { group.open = true; }")
    yield "all-groups"
    set_field(page, "width", "5")
    page.click("#generate")
    expect(page.locator("#width-error")).to_be_visible()
    page.locator("#words button").nth(1).hover()
    yield "error-and-hover"
    page.click("#reset")
    page.locator("#form-tools summary").click()
    yield "menu"
    page.keyboard.press("Escape")
    page.evaluate("document.getElementById('show-keys').click()")
    yield "keys"
    page.keyboard.press("Escape")
    page.check("#compare")
    set_field(page, "guidance_scale", "1")
    set_field(page, "guidance_rescale", "0.5")
    generate(page, steps=16)
    wait_for_step(page, 3)
    yield "drawing"
    wait_until_finished(page)
    yield "finished"
    page.locator("#gallery li button").first.click()
    page.locator("#detail [data-testid=stage-picture]").first.wait_for()
    yield "detail"
    page.click("#detail-use")
    expect(page.locator(".toast")).to_be_visible()
    yield "restored"


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    ae = Path(os.environ.get("AE", ROOT / "target/release/ae"))
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as gallery, serving(ae, gallery) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        for device, options in DEVICES.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(**options, color_scheme=scheme)
                context.set_default_timeout(TIMEOUT)
                if os.environ.get("PAGE_FROM_DISK"):
                    serve_from_disk(context)
                page = context.new_page()
                page.goto(address)
                for state in states(page):
                    file = out / f"{device}-{scheme}-{state}.png"
                    page.screenshot(path=file, full_page=state not in ("menu", "keys", "detail", "restored"))
                    print(file)
                context.close()
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("error: expected a folder for the screenshots")
    main(Path(sys.argv[1]))
