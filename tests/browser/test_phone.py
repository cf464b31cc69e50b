"""A person with a phone on the same network."""

import time

import pytest
from conftest import serving
from playwright.sync_api import expect
from actions import TIMEOUT, fits

PHONE = {"width": 390, "height": 844, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_with_the_token_draws_within_a_minute(ae, tmp_path, new_page, watch, scheme):
    with serving(ae, tmp_path, "--token", "not-to-be-guessed-0123") as address:
        watch.origins.add(address.split("/?")[0])
        page = new_page(**PHONE, scheme=scheme, first_visit=True)
        began = time.monotonic()
        page.goto(address)
        expect(page.locator("#generate")).to_be_in_viewport()  # without scrolling
        page.fill("#prompt", "a cat and a frog")
        page.locator("label[for=compare]").tap()  # one picture; two take twice the time
        page.locator("#generate").tap()
        heading = page.locator("#run-heading")
        expect(heading).to_be_in_viewport(timeout=TIMEOUT)
        picture = page.locator("#run [data-testid=stage-picture][src$='picture.png']")
        expect(picture).to_be_visible(timeout=TIMEOUT)
        assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") == 128
        assert time.monotonic() - began < 60
        assert fits(page)
