"""A report, opened from the disk."""

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from actions import check, fits, is_painted, tab_to
from playwright.sync_api import expect


@pytest.fixture
def open_report(new_page, report, watch):
    watch.origins.add("file://")

    def open_page(**options):
        page = new_page(**options)
        page.goto(report)
        page.locator("[data-testid=run-view]").wait_for()
        return page

    return open_page


def test_it_shows_both_runs(open_report):
    page = open_report()
    expect(page.locator("h1")).to_contain_text("a lion and a red car")
    expect(page.locator("#pictures img")).to_have_count(2)
    for picture in page.locator("#pictures img").all():
        assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth > 0)")
    expect(page.locator("[data-testid=stage-picture]")).to_have_count(2)
    expect(page.locator("[data-testid=subject-map]")).to_have_count(4)
    for canvas in page.locator("canvas[role=img]").all():
        assert is_painted(canvas)
    most = page.locator("[data-testid=colour-scale] .colour-ticks span").last.inner_text()
    assert 0 < float(most) <= 1


def test_it_asks_for_nothing(open_report, report, watch):
    page = open_report()
    page.wait_for_load_state("networkidle")
    assert watch.requests == [report]


def test_the_keyboard_moves_maps_and_chart(open_report):
    page = open_report()
    tab_to(page, "[data-testid=step-slider]")
    page.keyboard.press("Home")
    cursor = page.locator("[data-testid=chart-cursor]")
    expect(cursor).to_have_attribute("data-step", "0")
    maps = page.locator("[data-testid=subject-map]").first
    first = maps.evaluate("canvas => canvas.toDataURL()")
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    expect(cursor).to_have_attribute("data-step", "7")
    slider = page.locator("[data-testid=step-slider]")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^step 8 of \d+, timestep \d+$"))
    expect(maps).to_have_attribute("aria-label", re.compile(r"^Attention to lion at step 8: at most 0\.\d\d, "))
    assert maps.evaluate("canvas => canvas.toDataURL()") != first


def test_chips_choose_whose_map_is_shown(open_report):
    page = open_report()
    heat = page.locator("[data-testid=stage-heat]").first
    expect(heat).to_have_attribute("aria-label", re.compile("^Attention to lion, car at"))
    lion = page.get_by_role("button", name=re.compile(r"^lion\s+subject\s+1$"))
    expect(lion).to_have_attribute("aria-pressed", "true")
    lion.click()
    expect(lion).to_have_attribute("aria-pressed", "false")
    expect(heat).to_have_attribute("aria-label", re.compile("^Attention to car at"))
    page.get_by_role("button", name="red", exact=True).click()
    expect(heat).to_have_attribute("aria-label", re.compile("^Attention to red, car at"))


def test_a_click_into_the_chart_moves_the_cursor(open_report):
    page = open_report()
    chart = page.locator("[data-testid=loss-chart]")
    expect(page.locator("[data-testid=loss-line]")).to_have_count(2)
    box = chart.bounding_box()
    chart.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    slider = page.locator("[data-testid=step-slider]")
    step, last = int(slider.input_value()), int(slider.get_attribute("max"))
    assert abs(step - last / 2) <= 2
    expect(page.locator("[data-testid=chart-cursor]")).to_have_attribute("data-step", str(step))


def test_it_plays(open_report):
    page = open_report()
    play = page.get_by_role("button", name="Play")
    play.click()
    expect(page.locator("[data-testid=step-text]")).to_contain_text(re.compile(r"^step [2-6] of"))
    page.get_by_role("button", name="Pause").click()
    expect(play).to_be_visible()


def test_refinement_is_marked_as_in_the_trace(open_report):
    page = open_report()
    record = json.loads(page.locator("#record").text_content())
    guided = [step["guidance"] for step in record["runs"][0]["steps"] if step["guidance"]]
    updates = [len(guidance["evaluations"]) - 1 for guidance in guided]
    shown = [int(text.removesuffix("×")) for text in page.locator("[data-testid=refinement]").all_text_contents()]
    assert shown == [count for count in updates if count > 0] != []


def changed(report, tmp_path, change):
    """The address of a copy of the report whose record was changed."""
    html = Path(unquote(urlsplit(report).path)).read_text()
    head, json_and_rest = html.split('id="record">', 1)
    text, rest = json_and_rest.split("</script>", 1)
    record = json.loads(text)
    change(record)
    copy = tmp_path / "changed.html"
    copy.write_text(f'{head}id="record">{json.dumps(record).replace("<", chr(92) + "u003c")}</script>{rest}')
    return copy.as_uri()


def legend(page):
    legend = page.locator("[data-testid=loss-chart] + .loss-legend")
    return legend.locator("li:not(:has(.limit)) span:not(.value)").all_text_contents()


def test_terms_of_any_number_sign_and_name(new_page, report, watch, tmp_path):
    def change(record):
        record["terms"] = [
            {"name": "lion apart from car", "subject": None},
            {"name": "lion", "subject": 0},
            {"name": "lion <again>", "subject": 0},
        ]
        for step in record["runs"][0]["steps"]:
            if step["guidance"]:
                rows = step["guidance"]["evaluations"]
                step["guidance"]["evaluations"] = [[-10 * row[0], row[0], None] for row in rows]

    watch.origins.add("file://")
    page = new_page()
    page.goto(changed(report, tmp_path, change))
    expect(page.locator("[data-testid=loss-line]")).to_have_count(3)
    assert legend(page) == ["lion apart from car", "lion", "lion <again>"]
    classes = [line.get_attribute("class") for line in page.locator("[data-testid=loss-line]").all()]
    assert [name.split()[-1] for name in classes] == ["series-1", "series-0", "series-0"]
    assert float(page.locator(".loss-chart text[text-anchor=end]").first.text_content()) < -1
    label = page.locator("[data-testid=loss-chart]").get_attribute("aria-label")
    assert re.search(r"lion apart from car from -\d+\.\d\d to -", label) and "NaN" not in label
    assert "NaN" not in page.locator("[data-testid=loss-chart]").inner_html()


def test_records_of_before_terms_have_one_for_each_subject(new_page, report, watch, tmp_path):
    watch.origins.add("file://")
    page = new_page()
    page.goto(changed(report, tmp_path, lambda record: record.pop("terms")))
    expect(page.locator("[data-testid=loss-line]")).to_have_count(2)
    assert legend(page) == ["lion", "car"]


def test_command_and_trace(open_report):
    page = open_report()
    command = page.locator("#command")
    expect(command).to_contain_text(re.compile("^ae generate --prompt"))
    expect(command).not_to_contain_text("--output")
    page.click("#copy-command")
    expect(page.locator("#copy-status")).to_have_text(re.compile("Copied|Selected"))
    trace = json.loads(page.locator("#trace").text_content())
    with page.expect_download() as download:
        page.click("#save-trace")
    assert json.loads(download.value.path().read_text()) == trace
    assert download.value.suggested_filename.endswith(".json")


def test_changed_settings_are_shown_and_defaults_folded_away(open_report):
    page = open_report()
    settings = page.locator("#settings")
    changed = settings.locator("tr.changed:visible th").all_text_contents()
    assert changed == ["Steps", "Refinement thresholds"]
    expect(settings.locator("tr.changed", has_text="Steps").locator("td")).to_have_text("30 (default: 50)")
    groups = settings.locator("tr.group:visible th").all_text_contents()
    assert groups[:1] == ["Prompt"] and "Sampling" in groups and "Attend-and-Excite" in groups, groups
    size = settings.locator("th", has_text="Width")
    expect(size).to_be_hidden()
    settings.locator("summary").click()
    expect(size).to_be_visible()


def test_plain_sampling_stands_first(open_report):
    page = open_report()
    names = ["Stable Diffusion", "Attend-and-Excite"]
    assert page.locator("#pictures figcaption strong").all_text_contents() == names
    assert page.locator(".run-name strong").all_text_contents() == names
    lefts = [panel.bounding_box()["x"] for panel in page.locator(".run-panel").all()]
    assert lefts[0] < lefts[1]


def test_it_says_what_was_found_and_which_maps_these_are(open_report):
    page = open_report()
    record = json.loads(page.locator("#record").text_content())
    found = [run["found"] for run in record["runs"]]
    shown = page.locator("#pictures .found").all_text_contents()
    assert shown == [f"found: {', '.join(names) or 'no subject'}" for names in reversed(found)]
    expect(page.locator("#run > .hint").last).to_have_text(
        re.compile(r"^Attention maps of 16x16 patches, mean over all heads of \d+ layers: .*\.$")
    )


def test_the_attention_of_both_runs_is_a_chart(open_report):
    page = open_report()
    chart = page.locator("[data-testid=attention-chart]")
    # Two subjects by two methods, plain sampling dashed.
    expect(page.locator("[data-testid=attention-line]")).to_have_count(4)
    dashes = [line.get_attribute("stroke-dasharray") for line in chart.locator("polyline").all()]
    assert dashes == ["5 4", "5 4", "none", "none"]
    assert all(len(line.get_attribute("points").split()) == 30 for line in chart.locator("polyline").all())
    assert re.match(
        r"Largest attention at the last step\. Stable Diffusion: lion 0\.\d\d, car 0\.\d\d; Attend", chart.get_attribute("aria-label")
    )


def test_the_chart_shows_what_refinement_asks_for(open_report):
    page = open_report()
    expect(page.locator("[data-testid=limit]")).to_have_count(2)
    reading = page.locator(".loss-reading")
    page.locator("[data-testid=step-slider]").fill("4")
    expect(reading).to_have_text(re.compile(r"^Step 5: \d+ refinement updates?, a loss of at most 0\.1 was asked for"))
    page.locator("[data-testid=step-slider]").fill("29")
    expect(reading).to_have_text("No guidance after step 15.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_everyone_can_read_it(open_report, width, scheme):
    page = open_report(width=width, scheme=scheme)
    page.locator("#settings summary").click()
    check(page, "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone(open_report, scheme):
    page = open_report(width=360, scheme=scheme)
    assert fits(page)
    tops = [panel.bounding_box()["y"] for panel in page.locator(".run-panel").all()]
    assert tops[1] > tops[0]  # one below the other
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in colour[4:-1].split(",")) / 3
    assert (brightness < 60) == (scheme == "dark")


def test_the_chart_follows_the_window(open_report):
    page = open_report()
    chart = page.locator("[data-testid=loss-chart]")
    wide = chart.get_attribute("viewBox")
    page.set_viewport_size({"width": 500, "height": 800})
    expect(chart).not_to_have_attribute("viewBox", wide)
    assert fits(page)


def test_without_javascript_it_says_so(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report)
    expect(page.locator(".notice")).to_be_visible()
    context.close()
