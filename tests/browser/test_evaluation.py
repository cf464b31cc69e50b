"""The page of an evaluation, opened from the disk."""

import re

import pytest
from actions import check, fits
from playwright.sync_api import expect


@pytest.fixture
def open_evaluation(new_page, evaluation, watch):
    watch.origins.add("file://")

    def open_page(**options):
        page = new_page(**options)
        page.goto(evaluation)
        return page

    return open_page


def test_the_result_stands_first(open_evaluation, evaluation, watch):
    page = open_evaluation()
    share = r"\d+\.\d %"
    words = rf"^All subjects present: Stable Diffusion {share}, Attend-and-Excite {share}; n = 4 pictures of 2 prompts each\.$"
    expect(page.locator(".headline")).to_have_text(re.compile(words))
    expect(page.locator(".warning")).to_contain_text("Fewer than 20 prompts: too few to compare")
    page.wait_for_load_state("networkidle")
    assert watch.requests == [evaluation]


def test_terms_are_explained_beside_the_table(open_evaluation):
    page = open_evaluation()
    section = page.locator("#metric-0")
    section.get_by_text("What the columns mean").click()
    expect(section.locator("dl")).to_be_visible()
    for term in ["p", "McNemar p", "gained, lost"]:
        expect(section.locator("dt").get_by_text(term, exact=True)).to_be_visible()


def test_all_pictures_are_there_and_none_is_lazy(open_evaluation):
    page = open_evaluation()
    pictures = page.locator("#prompts img")
    expect(pictures).to_have_count(8)
    assert page.locator("img[loading]").count() == 0
    for picture in pictures.all():
        assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth === 96)")
    link = page.locator("#prompts a.thumb").first.get_attribute("href")
    assert re.fullmatch(r"\./\.\./stable-diffusion/a%20cat%20and%20a%20dog/0\.png", link), link


@pytest.mark.parametrize("filter", ["gained", "lost", "mixed"])
def test_prompts_are_filtered(open_evaluation, filter):
    page = open_evaluation()
    rows = page.locator(".by-prompt tbody tr")
    expect(rows.filter(visible=True)).to_have_count(2)
    radio = page.locator(f"#prompts input[value={filter}]")
    number = int(re.search(r"\((\d+)\)", radio.locator("..").inner_text())[1])
    assert page.locator(f".by-prompt tr.{filter}").count() == number
    if number == 0:
        expect(radio).to_be_disabled()
        # Whatever came out, the style hides what does not belong.
        radio.evaluate("radio => (radio.disabled = false)")
    radio.check()
    expect(rows.filter(visible=True)).to_have_count(number)
    page.locator("#prompts input[value=all]").check()
    expect(rows.filter(visible=True)).to_have_count(2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_everyone_can_read_it(open_evaluation, width, scheme):
    page = open_evaluation(width=width, scheme=scheme)
    assert fits(page)
    for summary in page.locator("main summary").all():
        summary.click()
    check(page, "")
