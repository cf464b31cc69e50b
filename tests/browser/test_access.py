"""Accessibility: axe in every state of the page, and what it cannot see."""

import pytest
from actions import check, drop, generate, set_field, wait_for_step, wait_until_finished
from made_files import halves
from playwright.sync_api import expect

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_in_any_state(open_studio, watch, device, scheme):
    watch.expect("Failed to load resource")
    page = open_studio(**device, scheme=scheme, first_visit=True)
    check(page, "the first visit")
    page.uncheck("#compare")
    for group in page.locator("form details:not(.menu)").all():
        group.evaluate("group => { group.open = true; }")
    check(page, "all groups open")
    page.locator("#words button").nth(1).hover()
    check(page, "over a chosen word")
    page.locator("#words button").nth(1).focus()
    check(page, "focus on a chosen word")
    page.locator("#form-tools summary").click()
    check(page, "a menu")
    page.keyboard.press("Escape")
    set_field(page, "width", "5")
    page.click("#generate")
    expect(page.locator("#width-error")).to_be_visible()
    check(page, "an error below its field")
    page.fill("#width", "")
    page.click("#reset")
    broken = {"name": "no.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.locator("#restore-file").set_input_files(broken)
    expect(page.locator("#form-error")).to_contain_text("not a valid PNG file")
    check(page, "an error of the whole form")
    if device is DESKTOP:
        page.click("#show-keys")
        check(page, "the sheet of keys")
        page.keyboard.press("Escape")
    set_field(page, "guidance_scale", "1")
    set_field(page, "guidance_rescale", "0.5")
    generate(page, steps=40)
    wait_for_step(page, 2)
    expect(page.locator("#run-notes")).to_be_visible()
    check(page, "while it is drawn, with a note")
    page.click("#cancel")
    expect(page.locator("#progress-text")).to_have_text("Cancelled.")
    generate(page, steps=2)
    wait_until_finished(page)
    check(page, "a finished picture")
    page.locator("#gallery .thumbnail").first.click()
    expect(page.locator("#detail [data-testid=stage-picture]").first).to_be_visible()
    check(page, "the dialog of a picture")
    page.locator("#detail [data-testid=show-attention]").check()
    check(page, "maps over it")
    page.click("#detail-delete")
    expect(page.locator("#undo")).to_be_visible()
    check(page, "after it was deleted")
    page.click("#undo-button")
    expect(page.locator("#undo")).to_be_hidden()
    # Another picture is shown in its place, if there is one.
    if page.locator("#detail").is_visible():
        page.keyboard.press("Escape")
    page.locator("#gallery .thumbnail").first.click()
    page.click("#detail-use")
    expect(page.locator(".toast")).to_be_visible()
    check(page, "a toast")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_at_the_start_picture(open_studio, watch, device, scheme):
    watch.expect("Failed to load resource")
    page = open_studio(**device, scheme=scheme)
    drop(page, halves(), "halves.png")
    expect(page.locator("#dropped-title")).to_be_visible()
    check(page, "a dropped picture")
    page.click("#dropped-start")
    expect(page.locator("#start-image")).to_be_visible()
    check(page, "a start picture")
    page.check("#use-mask")
    check(page, "an empty mask")
    page.click("#generate")
    expect(page.locator("#use-mask-error")).to_be_visible()
    check(page, "a mask that is missing")
    page.locator("#mask-all").focus()
    page.click("#mask-all")
    check(page, "a mask")
    page.click("#start-remove")
    broken = {"name": "no.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.locator("#start-file").set_input_files(broken)
    expect(page.locator("#start-error")).to_be_visible()
    check(page, "a start picture that is none")


def test_words_are_one_tab_stop(open_studio):
    page = open_studio()
    page.fill("#prompt", "a cat and a frog and a dog and a boat and a car")
    expect(page.locator("#words button")).to_have_count(14)
    page.locator("#words button").first.focus()
    page.keyboard.press("End")
    expect(page.locator("#words button").last).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    expect(page.locator("#words button").nth(12)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#words button").nth(12)).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#words') === null")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.closest('#words') !== null")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.closest('#words') === null")


def test_targets_are_large_enough_for_fingers(open_studio):
    page = open_studio(**PHONE)
    for group in page.locator("form details:not(.menu)").all():
        group.evaluate("group => { group.open = true; }")
    # The gallery and the jobs have something to touch too.
    generate(page, steps=2)
    wait_until_finished(page)
    page.locator("#gallery .star").first.wait_for()
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, summary, select, textarea, input")]
          .filter((each) => each.checkVisibility() && !each.closest(".visually-hidden"))
          .map((each) => [each.id || each.textContent, each.getBoundingClientRect(), each.type])
          .filter(([, { width, height }, type]) => Math.min(width, height) < (type === "checkbox" ? 24 : 44))
          .map(([name, { width, height }]) => `${name}: ${width} x ${height}`)"""
    )
    assert small == []
