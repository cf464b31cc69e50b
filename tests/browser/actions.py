"""What several tests do with the pages."""

import re
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import expect

TIMEOUT = 60_000
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")


def set_field(page, name, value):
    """Writes a setting; the groups of settings are closed at first."""
    page.evaluate(
        """name => {
          const group = document.getElementById(name).closest("details");
          if (group) group.open = true;
        }""",
        name,
    )
    field = page.locator(f"#{name}")
    if field.evaluate("field => field.tagName") == "SELECT":
        field.select_option(str(value))
    else:
        field.fill(str(value))


def generate(page, steps=10, seeds="7"):
    set_field(page, "steps", steps)
    page.fill("#seeds", seeds)
    page.click("#generate")


def wait_until_finished(page):
    expect(page.locator("#progress-text")).to_have_text(re.compile(r"^Finished( in .+)?\.$"), timeout=TIMEOUT)


def wait_for_step(page, least):
    """Waits until the run has reached a step and returns the step it is at."""
    texts = page.locator("#progress-text")
    numbers = "|".join(str(number) for number in range(least, 250))
    expect(texts).to_have_text(re.compile(rf"^step ({numbers}) of"), timeout=TIMEOUT)
    return int(re.match(r"step (\d+) of", texts.inner_text())[1])


def gallery_size(page, studio):
    return page.request.get(f"{studio}/api/gallery?limit=1").json()["total"]


def is_painted(canvas):
    """Whether a canvas shows more than one colour."""
    return canvas.evaluate(
        """canvas => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.some((value, index) => value !== data[index % 4]);
        }"""
    )


def fits(page):
    """Whether nothing is wider than the window."""
    return page.evaluate("document.scrollingElement.scrollWidth <= document.documentElement.clientWidth")


def tab_to(page, selector, key="Tab"):
    """Moves the focus by keyboard alone."""
    for _ in range(150):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press(key)
    raise AssertionError(f"the keyboard does not reach {selector}")


def drop(page, content, name):
    """Drops a file on the page."""
    data = page.evaluate_handle(
        """([bytes, name]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
          return transfer;
        }""",
        [list(content), name],
    )
    page.dispatch_event("main", "drop", {"dataTransfer": data})


def check(page, state):
    """Fails on everything that axe finds."""
    if not page.evaluate("'axe' in window"):
        # A script tag would be against the policy of the page.
        page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations)")
    faults = [(fault["id"], [(node["target"], node["failureSummary"]) for node in fault["nodes"]]) for fault in found]
    assert faults == [], f"{state}: {faults}"
