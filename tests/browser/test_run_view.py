"""The picture that is drawn, and the finished one."""

import os
import re

import pytest
from actions import TIMEOUT, generate, set_field, wait_for_step, wait_until_finished
from playwright.sync_api import expect
from test_form import accept

HEAT = "[data-testid=stage-heat]"


def opacities(page, view):
    return page.locator(f"{view} {HEAT}").evaluate_all("all => all.map(each => getComputedStyle(each).opacity)")


def test_a_finished_picture_is_shown_without_its_map(open_studio):
    page = open_studio()
    page.check("#compare")
    generate(page, steps=6)
    wait_for_step(page, 1)
    assert float(opacities(page, "#run")[0]) > 0.5
    wait_until_finished(page)
    expect(page.locator("#run [data-testid=show-attention]")).not_to_be_checked()
    expect(page.locator(f"#run {HEAT}").first).to_have_css("opacity", "0")
    page.locator("#run [data-testid=show-attention]").check()
    expect(page.locator(f"#run {HEAT}").first).to_have_css("opacity", "0.7")
    page.locator("h1").click()
    page.keyboard.press("m")
    expect(page.locator(f"#run {HEAT}").first).to_have_css("opacity", "0")
    page.locator("#gallery li button").first.click()
    expect(page.locator("#detail [data-testid=stage-picture]")).to_have_count(2)
    expect(page.locator(f"#detail {HEAT}").first).to_have_css("opacity", "0")
    page.keyboard.press("m")
    expect(page.locator(f"#detail {HEAT}").first).to_have_css("opacity", "0.7")


def test_time_is_that_of_the_whole_job(open_studio):
    page = open_studio()
    page.check("#compare")
    # Every value of the bar, and every text beside it.
    page.evaluate(
        """() => {
          window.seen = [];
          const [bar, text] = ["progress", "progress-text"].map((id) => document.getElementById(id));
          const value = () => bar.hidden || !bar.hasAttribute("value") ? null : bar.value;
          const observer = new MutationObserver(() => window.seen.push([value(), text.textContent]));
          observer.observe(text, { childList: true });
        }"""
    )
    set_field(page, "thresholds", "0:0.9")  # out of reach: the first step is refined
    set_field(page, "max_refinement_steps", 4)
    generate(page, steps=8, seeds="3")
    wait_until_finished(page)
    seen = page.evaluate("window.seen")
    texts = [text for _, text in seen]
    second = [value for value, text in seen if "picture 2 of 2" in text and value is not None]
    assert min(second) > 0.5  # the bar does not begin anew
    timed = [text for text in texts if re.search(r"· (\d+ min )?\d+ s of about (\d+ min )?\d+ s", text)]
    assert any("picture 2 of 2" in text for text in timed)
    assert any("step 8 of 8 · picture 1 of 2" in text for text in texts)  # complete, not one short
    assert "step 8 of 8" not in next(text for text in texts if "picture 2 of 2" in text)
    assert re.fullmatch(r"Finished in (\d+ min )?\d+ s\.", texts[-1])


def test_time_is_shown_in_refinement(open_studio):
    page = open_studio()
    set_field(page, "thresholds", "1:0.99")
    generate(page, steps=6)
    text = page.locator("#progress-text")
    expect(text).to_have_text(re.compile(r"s of about .* · refinement update \d+$"), timeout=TIMEOUT)
    wait_until_finished(page)


def test_steps_count_from_one(open_studio):
    page = open_studio()
    generate(page, steps=6)
    wait_until_finished(page)
    expect(page.locator("#run [data-testid=step-text]")).to_have_text(re.compile(r"^step 6 of 6, timestep"))
    expect(page.locator("#run .loss-reading")).to_have_text("No guidance after step 3.")
    page.locator("#run [data-testid=step-slider]").press("Home")
    expect(page.locator("#run [data-testid=step-text]")).to_have_text(re.compile(r"^step 1 of 6, timestep"))
    ticks = page.locator("#run .loss-chart text").all_text_contents()
    assert "1" in ticks and "0" not in ticks and "step" in ticks


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_nothing_lies_over_the_maps(open_studio, width, height):
    page = open_studio(width=width, height=height)
    generate(page, steps=3)
    wait_until_finished(page)
    page.locator("#gallery li button").first.click()
    expect(page.locator("#detail [data-testid=subject-map]")).to_have_count(2)
    for view in ("#run", "#detail"):
        for canvas in page.locator(f"{view} [data-testid=subject-map], {view} {HEAT}").all():
            if view == "#run" and page.locator("#detail").is_visible():
                continue
            canvas.scroll_into_view_if_needed()
            covered = canvas.evaluate(
                """canvas => {
                  const { left, top, width, height } = canvas.getBoundingClientRect();
                  const points = [0.1, 0.5, 0.9].map((part) => [left + width / 2, top + height * part]);
                  const inView = points.filter(([x, y]) => y > 0 && y < innerHeight);
                  return inView.filter(([x, y]) => !canvas.contains(document.elementFromPoint(x, y))).length;
                }"""
            )
            assert covered == 0
    page.keyboard.press("Escape")
    assert page.locator("#run .stage").bounding_box()["height"] <= 0.56 * height


def test_the_title_tells_how_far_it_is(open_studio):
    page = open_studio()
    generate(page, steps=30)
    expect(page).to_have_title(re.compile(r"^[1-9]\d? % · a lion and a red car$"), timeout=TIMEOUT)
    expect(page).to_have_title("Finished · a lion and a red car", timeout=TIMEOUT)
    expect(page).to_have_title("Attend-and-Excite studio", timeout=TIMEOUT)


def test_a_notification_comes_to_those_who_look_elsewhere(open_studio):
    page = open_studio()
    page.add_init_script(
        """
        window.notes = [];
        window.Notification = class {
          static permission = "default";
          static async requestPermission() { return (this.permission = "granted"); }
          constructor(title) { window.notes.push(title); }
        };
        """
    )
    page.reload()
    page.locator("#words button").first.wait_for()
    page.locator("#group-advanced").evaluate("group => { group.open = true; }")
    page.check("#notify")
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    generate(page, steps=3)
    wait_until_finished(page)
    assert page.evaluate("window.notes") == ["Finished: a lion and a red car"]


def test_keys(open_studio):
    page = open_studio()
    page.locator("h1").click()
    page.keyboard.press("?")
    sheet = page.locator("#keys")
    expect(sheet).to_be_visible()
    expect(page.locator("#keys-title")).to_be_focused()
    for key in ("Ctrl", "Enter", "Esc", "M", "R", "Space", "?"):
        expect(sheet.locator("kbd", has_text=re.compile(f"^{re.escape(key)}$"))).to_have_count(1)
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    # In a text a key is a letter.
    page.locator("#prompt").press("End")
    page.keyboard.type("?m")
    expect(page.locator("#prompt")).to_have_value("a lion and a red car?m")
    expect(sheet).to_be_hidden()
    page.fill("#prompt", "a lion and a red car")

    generate(page, steps=30)
    wait_for_step(page, 4)
    page.locator("h1").click()
    # Two steps back, since the last step follows the run: a key that came upon it would move on.
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    slider = page.locator("#run [data-testid=step-slider]")
    place = int(slider.input_value())
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_value(str(place + 1))
    page.keyboard.press("Space")
    expect(page.locator("#run .play")).to_have_text("Pause")
    page.keyboard.press("Space")
    expect(page.locator("#run .play")).to_have_text("Play")
    page.keyboard.press("Escape")
    expect(page.locator("#progress-text")).to_have_text("Cancelled.")
    page.route("**/api/generate", accept)
    with page.expect_response("**/api/generate") as again:
        page.keyboard.press("n")
    assert again.value.request.post_data_json["seeds"] != [7]


def test_the_theme_can_be_chosen(open_studio):
    page = open_studio(scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.select_option("#theme", "dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    page.select_option("#theme", "")
    assert page.evaluate(ground) == light


def test_the_page_is_there_in_300_ms(open_studio, watch):
    page = open_studio()
    times = []
    for _ in range(6):
        page.reload()
        page.locator("#words button").first.wait_for()
        times.append(page.evaluate("performance.getEntriesByName('ready')[0].startTime"))
    print(f"ready after {min(times):.0f} to {max(times):.0f} ms")
    # The best, on a machine that others use too: where three processes share a core, everything takes three times as long.
    crowd = max(1, os.getloadavg()[0] / os.cpu_count())
    assert min(times) < 300 * crowd
    policy = page.request.get(page.url).headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; ") and "unsafe" not in policy
