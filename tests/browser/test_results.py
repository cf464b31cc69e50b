"""What becomes of pictures: gallery, queue, a job of many seeds, two pictures on one stage, plots."""

import csv
import io
import re
import struct
import zipfile
from pathlib import Path

import pytest
from actions import TIMEOUT, check, fits, generate, set_field, wait_for_step, wait_until_finished
from playwright.sync_api import expect


def draw(page, studio, **request):
    """Draws pictures without the page; the names of their entries."""
    request = {"prompt": "a lion and a red car", "steps": 2, "seeds": [1], **request}
    job = page.request.post(f"{studio}/api/generate", data=request).json()
    page.request.get(f"{studio}/api/jobs/{job['id']}/events").body()  # up to its end
    job = page.request.get(f"{studio}/api/jobs/{job['id']}").json()
    assert job["state"] == "done", job
    return job["pictures"]


def wait(page, studio, steps=250, **request):
    """Keeps the studio busy; jobs that come now wait."""
    request = {"prompt": "a lion and a red car", "steps": steps, "seeds": [1], **request}
    return page.request.post(f"{studio}/api/generate", data=request).json()["id"]


@pytest.fixture
def fresh(open_studio, studio):
    """Opens the studio with an empty gallery, which others have filled before."""

    def open_page(pictures=(), **options):
        page = open_studio(**options)
        while entries := page.request.get(f"{studio}/api/gallery?limit=200").json()["entries"]:
            for entry in entries:
                page.request.delete(f"{studio}/api/gallery/{entry['id']}")
        page.request.delete(f"{studio}/api/trash")
        page.request.delete(f"{studio}/api/jobs?which=ended")
        ids = [draw(page, studio, **picture)[0] for picture in pictures]
        page.evaluate("localStorage.removeItem('attend-and-excite-plot')")
        page.reload()
        page.locator("#words button").first.wait_for()
        expect(page.locator("#gallery li")).to_have_count(len(ids))
        return page, ids

    return open_page


def item(page, entry):
    return page.locator(f"#gallery li[data-id='{entry}']")


def shown(page):
    return page.locator("#gallery li").evaluate_all("items => items.map(item => item.dataset.id)")


LION, CAT = {"prompt": "a lion and a red car"}, {"prompt": "a cat and a frog", "method": "stable-diffusion"}


def test_the_gallery_is_searched_and_filtered(fresh):
    page, [lion, cat, other] = fresh([LION, CAT, {**LION, "seeds": [2]}])
    page.fill("#gallery-search", "FROG cat")
    expect(page.locator("#gallery li")).to_have_count(1)
    assert shown(page) == [cat]
    expect(page.locator("#gallery-total")).to_have_text("1 of 3")
    page.fill("#gallery-search", "mouse")
    expect(page.locator("#gallery-empty")).to_have_text("No picture is as the search asks for.")
    check(page, "")
    page.fill("#gallery-search", "")
    expect(page.locator("#gallery li")).to_have_count(3)
    page.select_option("#gallery-method", "attend-and-excite")
    expect(page.locator("#gallery li")).to_have_count(2)
    assert shown(page) == [other, lion]
    page.select_option("#gallery-method", "")
    with page.expect_response(re.compile("model=embedded")):
        page.select_option("#gallery-model", label="sprites 3")
    expect(page.locator("#gallery li")).to_have_count(3)
    # A picture that is not searched for does not come in between.
    page.fill("#gallery-search", "frog")
    expect(page.locator("#gallery li")).to_have_count(1)
    generate(page, steps=2)
    wait_until_finished(page)
    expect(page.locator("#gallery-total")).to_have_text("1 of 4")
    assert shown(page) == [cat]


def test_pages_of_what_is_searched(fresh, studio):
    page, [*_] = fresh([LION])
    draw(page, studio, **CAT, seeds=list(range(16)))
    draw(page, studio, **CAT, seeds=list(range(10)))
    page.reload()
    expect(page.locator("#gallery li")).to_have_count(24)
    page.fill("#gallery-search", "frog")
    expect(page.locator("#gallery-total")).to_have_text("24+ of 27")
    page.click("#gallery-more")
    expect(page.locator("#gallery li")).to_have_count(26)
    expect(page.locator("#gallery-more")).to_be_hidden()
    expect(page.locator("#gallery li").nth(24).locator(".thumbnail")).to_be_focused()


def test_favourites_stay(fresh):
    page, [lion, cat] = fresh([LION, CAT])
    star = item(page, lion).locator(".star")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(star).to_have_attribute("aria-pressed", "true")
    page.check("#gallery-favourites")
    expect(page.locator("#gallery li")).to_have_count(1)
    assert shown(page) == [lion]
    check(page, "")
    page.uncheck("#gallery-favourites")
    item(page, cat).locator(".thumbnail").click()
    page.keyboard.press("f")
    expect(page.locator("#detail-favourite")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(item(page, cat).locator(".star")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("options", [{"scheme": "dark"}, {"width": 390}], ids=["desktop", "phone"])
def test_several_are_deleted_and_come_back(fresh, options):
    page, [first, second, third] = fresh([LION, CAT, LION], **options)
    item(page, first).locator(".pick").check()
    item(page, third).locator(".pick").check()
    expect(page.locator("#selection-count")).to_have_text("2 selected")
    check(page, "")
    page.click("#selection-delete")
    expect(page.locator("#undo-text")).to_have_text("2 pictures moved to the trash.")
    expect(page.locator("#undo-button")).to_be_focused()
    assert shown(page) == [second]
    check(page, "")
    assert fits(page)
    page.click("#undo-button")
    expect(page.locator("#gallery li")).to_have_count(3)
    assert shown(page) == [third, second, first]
    expect(page.locator("#trash")).to_be_hidden()
    # Also after a reload, and one by one.
    expect(page.locator("#selection")).to_be_hidden()
    for entry in (first, third):
        item(page, entry).locator(".pick").check()
    page.click("#selection-delete")
    expect(page.locator("#undo")).to_be_visible()
    page.reload()
    expect(page.locator("#gallery li")).to_have_count(1)
    page.click("#trash summary")
    expect(page.locator("#trash-list li")).to_have_count(2)
    check(page, "")
    assert fits(page)
    page.locator(f"#trash-list li[data-id='{first}']").get_by_role("button").click()
    expect(page.locator("#gallery li")).to_have_count(2)
    assert shown(page) == [second, first]
    page.click("#trash-empty")
    expect(page.locator("#trash-keep")).to_be_focused()
    page.click("#trash-confirm")
    expect(page.locator("#trash")).to_be_hidden()
    assert shown(page) == [second, first]


def test_a_selection_is_a_zip_file(fresh):
    page, ids = fresh([LION, {**LION, "compare": True}])
    item(page, ids[0]).locator(".pick").check()
    page.click("#selection-all")
    with page.expect_download() as download:
        page.click("#selection-zip")
    assert download.value.suggested_filename == "pictures.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted([f"{ids[0]}.png", f"{ids[1]}.png", f"{ids[1]}-plain.png"])
    page.click("#selection-none")
    expect(page.locator("#selection")).to_be_hidden()
    expect(page.locator("#gallery-heading")).to_be_focused()


def test_detail_goes_from_picture_to_picture(fresh, studio):
    page, [lion, cat] = fresh([LION, CAT])
    job = draw(page, studio, prompt="a dog and a boat", seeds=[5, 6, 7])
    page.reload()
    item(page, job[2]).locator(".thumbnail").click()
    title = page.locator("#detail-title")
    expect(title).to_be_focused()
    expect(page.locator("#detail-strip li")).to_have_count(3)
    expect(page.locator("#detail-strip [aria-current] img")).to_have_attribute("alt", "seed 7")
    check(page, "")
    page.keyboard.press("ArrowRight")  # older
    expect(page.locator("#detail-date")).to_contain_text("Seed 6")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#detail-previous")).to_be_disabled()
    page.locator("#detail-strip button").first.click()
    expect(page.locator("#detail-date")).to_contain_text("Seed 5")
    page.keyboard.press("ArrowRight")
    expect(title).to_have_text(CAT["prompt"])
    expect(page.locator("#detail-strip")).to_be_hidden()
    # The slider of the steps keeps its arrows.
    page.locator("#detail [data-testid=step-slider]").focus()
    page.keyboard.press("ArrowLeft")
    expect(title).to_have_text(CAT["prompt"])
    page.mouse.click(5, 5)  # beside
    expect(page.locator("#detail")).to_be_hidden()
    expect(item(page, cat).locator(".thumbnail")).to_be_focused()


def test_detail_deletes_with_undo(fresh):
    page, [lion, cat] = fresh([LION, CAT])
    item(page, cat).locator(".thumbnail").click()
    expect(page.locator("#detail-title")).to_have_text(CAT["prompt"])
    page.keyboard.press("Delete")
    expect(page.locator("#detail-title")).to_have_text(LION["prompt"])
    expect(page.locator("#detail #undo-text")).to_have_text("1 picture moved to the trash.")
    check(page, "")
    page.click("#undo-button")
    expect(page.locator("#undo")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("#gallery li")).to_have_count(2)
    assert shown(page) == [cat, lion]


def test_guided_and_plain_share_a_stage(fresh, studio):
    page, [lion, cat] = fresh([{**LION, "compare": True}, CAT])
    item(page, lion).locator(".thumbnail").click()
    # The record's words: what is there is up to the model.
    found = [run["found"] for run in page.request.get(f"{studio}/api/gallery/{lion}/run.json").json()["runs"]]
    expect(page.locator("#detail .found")).to_have_count(2)
    texts = page.locator("#detail .found").all_text_contents()
    assert texts == [f"found: {', '.join(names) or 'no subject'}" for names in reversed(found)]
    page.keyboard.press("d")
    slider = page.locator("#swipe-slider")
    expect(slider).to_be_focused()
    expect(page.locator(".swipe-first")).to_have_attribute("src", f"/api/gallery/{lion}/plain.png")
    expect(page.locator(".swipe-second")).to_have_attribute("src", f"/api/gallery/{lion}/picture.png")
    expect(page.locator(".swipe-name").nth(1)).to_have_text("B: Attend-and-Excite")
    check(page, "")
    clip = "() => getComputedStyle(document.querySelector('.swipe-first')).clipPath"
    assert page.evaluate(clip) == "inset(0px 50% 0px 0px)"
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "51 % A, 49 % B")
    page.keyboard.press("b")
    expect(page.locator(".swipe-name").nth(1)).to_have_attribute("aria-pressed", "true")
    assert page.evaluate(clip) == "inset(0px 100% 0px 0px)"
    page.keyboard.press("a")
    assert page.evaluate(clip) == "inset(0px 0% 0px 0px)"
    box = page.locator(".swipe-stage").bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    page.mouse.up()
    expect(slider).to_have_value("25")
    page.keyboard.press("Escape")
    expect(page.locator("#swipe")).to_be_hidden()
    expect(page.locator("#detail")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_any_two_share_a_stage(fresh, width):
    page, ids = fresh([LION, CAT], width=width)
    for entry in ids:
        expect(page.locator("#selection-compare")).to_be_disabled()
        item(page, entry).locator(".pick").check()
    page.click("#selection-compare")
    expect(page.locator(".swipe-first")).to_have_attribute("src", f"/api/gallery/{ids[0]}/picture.png")
    expect(page.locator(".swipe-second")).to_have_attribute("src", f"/api/gallery/{ids[1]}/picture.png")
    assert page.locator("#swipe").evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
    check(page, "")
    page.click("#swipe-close")
    expect(page.locator("#selection-compare")).to_be_focused()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_queue_is_reordered_cancelled_and_cleared(fresh, studio, width):
    page, _ = fresh(width=width)
    draw(page, studio)
    wait(page, studio)
    first, second = (wait(page, studio, prompt=prompt) for prompt in ("a cat", "a dog"))
    page.reload()
    rows = page.locator("#jobs li[data-state=queued]")
    expect(rows).to_have_count(2)
    expect(page.locator("#queue-summary")).to_have_text("1 drawing, 2 waiting, 1 ended")
    check(page, "")
    assert fits(page)
    page.get_by_role("button", name="Move up: a dog").press("Enter")
    expect(rows.first).to_contain_text("a dog")
    assert page.request.get(f"{studio}/api/jobs/{second}").json()["position"] == 1
    expect(page.get_by_role("button", name="Move down: a dog")).to_be_focused()
    page.get_by_role("button", name="Move down: a dog").press("Enter")
    expect(rows.first).to_contain_text("a cat")
    page.click("#queue-clear")
    expect(page.locator("#jobs li[data-state=done]")).to_have_count(0)
    page.click("#queue-cancel")
    expect(rows).to_have_count(0)
    expect(page.locator("#queue-cancel")).to_be_hidden()
    assert page.request.get(f"{studio}/api/jobs/{first}").json()["state"] == "cancelled"
    page.click("#queue summary")
    expect(page.locator("#jobs")).to_be_hidden()
    page.click("#queue summary")
    page.click("#queue-clear")
    expect(page.locator("#queue")).to_be_hidden()


def test_many_jobs_do_not_push_the_gallery_away(fresh, studio):
    page, _ = fresh([LION])
    wait(page, studio)
    for _ in range(12):
        wait(page, studio)
    page.reload()
    expect(page.locator("#jobs li[data-state=queued]")).to_have_count(12)
    assert page.locator("#queue").bounding_box()["height"] < 330
    page.click("#queue-cancel")
    expect(page.locator("#jobs li[data-state=queued]")).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 390])
def test_seeds_fill_a_grid_and_one_wins(fresh, width):
    page, _ = fresh(width=width)
    generate(page, steps=12, seeds="3-5")
    cells = page.locator("#seeds-cells li")
    expect(cells).to_have_count(3)
    # The one that is drawn shows itself before it is done.
    expect(cells.first.locator("img")).to_have_attribute("src", re.compile("^data:image/"), timeout=TIMEOUT)
    expect(cells.nth(2)).to_contain_text("waiting")
    expect(cells.first.locator("img")).to_have_attribute("src", re.compile("/picture.png$"), timeout=TIMEOUT)
    wait_until_finished(page)
    expect(page.locator("#seeds-note")).to_contain_text("3 of 3 seeds")
    check(page, "")
    assert fits(page)
    page.get_by_role("button", name="Enlarge: seed 4").click()
    expect(page.locator("#detail-date")).to_contain_text("Seed 4")
    expect(page.locator("#detail-strip li")).to_have_count(3)
    page.keyboard.press("Escape")
    expect(page.locator("#seeds-discard")).to_be_hidden()
    page.get_by_role("group", name="Pictures of this job").get_by_role("button", name="Favourite: seed 4").click()
    page.click("#seeds-discard")
    expect(page.locator("#gallery li")).to_have_count(1)
    expect(page.locator("#gallery li .star")).to_have_attribute("aria-pressed", "true")
    expect(cells.first).to_contain_text("deleted")
    page.click("#undo-button")
    expect(page.locator("#gallery li")).to_have_count(3)
    expect(cells.first).to_contain_text("done")


def test_a_job_of_many_seeds_opens_as_a_filmstrip(fresh, studio):
    page, _ = fresh()
    draw(page, studio, seeds=[1, 2, 3])
    page.reload()
    page.locator("#jobs").get_by_role("button", name="Open").click()
    expect(page.locator("#detail-date")).to_contain_text("Seed 1")
    expect(page.locator("#detail-strip li")).to_have_count(3)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#detail-date")).to_contain_text("Seed 2")


def open_vary(page, columns, values, rows=None, row_values="", seeds="1"):
    set_field(page, "steps", 2)
    page.click("#vary-open")
    expect(page.locator("#vary-title")).to_be_focused()
    page.select_option("#vary-x", label=columns)
    page.fill("#vary-x-values", values)
    if rows:
        page.select_option("#vary-y", label=rows)
        page.fill("#vary-y-values", row_values)
    page.fill("#vary-seeds", seeds)


@pytest.mark.parametrize("width", [1280, 390])
def test_two_settings_are_varied(fresh, studio, width):
    page, _ = fresh(width=width)
    open_vary(page, "Steps", "2, 3", "Guidance scale", "5; 7.5", "1-2")
    expect(page.locator("#vary-count")).to_have_text("8 pictures in 4 jobs.")
    check(page, "")
    with page.expect_request(f"{studio}/api/generate") as sent:
        page.click("#vary-start")
    request = sent.value.post_data_json
    assert (request["steps"], request["guidance_scale"], request["seeds"]) == (2, 5, [1, 2])
    expect(page.locator("#plot-heading")).to_be_focused()
    pictures = page.locator("#plot-table img")
    expect(pictures).to_have_count(8, timeout=TIMEOUT)
    expect(page.locator("#plot-note")).to_have_text("8 of 8 pictures")
    expect(page.locator("#plot-table thead th")).to_have_text(["Guidance scale", "Seed", "Steps: 2", "Steps: 3"])
    check(page, "")
    assert fits(page)

    with page.expect_download() as download:
        page.click("#plot-csv")
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert len(rows) == 8
    last = rows[-1]
    assert (last["Steps"], last["Guidance scale"], last["Seed"], last["State"]) == ("3", "7.5", "2", "done")
    settings = page.request.get(last["Picture"].removesuffix("/picture.png")).json()["settings"]
    assert (settings["steps"], settings["guidance_scale"], settings["seed"]) == (3, 7.5, 2)
    with page.expect_download() as download:
        page.click("#plot-png")
    png = Path(download.value.path()).read_bytes()
    assert png.startswith(b"\x89PNG")
    wide, tall = struct.unpack(">II", png[16:24])
    assert wide > 2 * 128 and tall > 4 * 128

    # The table is there after a reload, and leads to the pictures.
    page.reload()
    expect(pictures).to_have_count(8)
    page.get_by_role("button", name="Steps 3, Guidance scale 5, seed 1").click()
    expect(page.locator("#detail-settings")).to_contain_text("Steps3")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#detail-date")).to_contain_text("Seed 2")
    page.keyboard.press("Escape")
    page.click("#plot-close")
    expect(page.locator("#plot")).to_be_hidden()
    page.reload()
    expect(page.locator("#gallery li")).to_have_count(8)
    expect(page.locator("#plot")).to_be_hidden()


def test_methods_are_varied(fresh):
    page, _ = fresh()
    open_vary(page, "Method", "attend-and-excite\nstable-diffusion")
    page.click("#vary-start")
    expect(page.locator("#plot-table img")).to_have_count(2, timeout=TIMEOUT)
    expect(page.locator("#plot-table thead")).to_contain_text("Attend-and-Excite")


def test_what_cannot_be_varied_is_refused_by_name(fresh, studio, watch):
    watch.expect("Failed to load resource")
    page, _ = fresh()
    alert = page.locator("#vary-error")
    for values, expected in [
        ("", "Steps: write at least one value"),
        ("2, many", "Steps: many: write a whole number"),
        ("2, 2", "Steps: 2 is there twice"),
        ("2, 251", "Steps: 251: at most 250"),
        (", ".join(str(number) for number in range(1, 91)), re.compile("90 jobs.*room for .*max_queue")),
    ]:
        open_vary(page, "Steps", values)
        page.click("#vary-start")
        expect(alert).to_contain_text(expected)
        check(page, "")
        page.keyboard.press("Escape")
    open_vary(page, "Steps", "2", "Steps", "3")
    page.click("#vary-start")
    expect(alert).to_contain_text("both columns and rows")
    # What only the server knows: nothing of the plot is drawn then.
    wait(page, studio)
    page.select_option("#vary-y", label="Width")
    page.fill("#vary-y-values", "128, 130")
    page.click("#vary-start")
    expect(alert).to_contain_text("130")
    jobs = page.request.get(f"{studio}/api/jobs").json()["jobs"]
    assert [job["state"] for job in jobs].count("queued") == 0


def test_a_plot_is_cancelled(fresh, studio):
    page, _ = fresh()
    wait(page, studio)
    open_vary(page, "Steps", "2, 3")
    page.click("#vary-start")
    expect(page.locator("#plot-table td").first).to_have_text("waiting")
    page.click("#plot-cancel")
    expect(page.locator("#plot-table td").first).to_have_text("cancelled")
    expect(page.locator("#plot-cancel")).to_be_hidden()
