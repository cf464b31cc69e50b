"""The studio, from the prompt to the gallery."""

import base64
import json
import re
import struct
import zlib

import pytest
from actions import (
    TIMEOUT,
    fits,
    gallery_size,
    generate,
    is_painted,
    set_field,
    tab_to,
    wait_for_step,
    wait_until_finished,
)
from playwright.sync_api import expect


def word(page, text):
    return page.locator("#words button").filter(has_text=text)


def test_chosen_tokens_are_drawn(open_studio, studio):
    page = open_studio()
    expect(word(page, "lion")).to_have_attribute("aria-pressed", "true")
    expect(word(page, "red")).to_have_attribute("aria-pressed", "false")
    word(page, "red").click()
    expect(word(page, "red")).to_have_attribute("aria-pressed", "true")
    before = gallery_size(page, studio)
    with page.expect_request(f"{studio}/api/generate") as sent:
        generate(page)
    assert sent.value.post_data_json["subjects"] == ["lion", "red", "car"]
    wait_until_finished(page)
    expect(page.locator("#run [data-testid=subject-map]")).to_have_count(3)
    picture = page.locator("#run [data-testid=stage-picture]")
    expect(picture).to_have_attribute("src", f"/api/gallery/{newest(page)}/picture.png")
    assert gallery_size(page, studio) == before + 1

    page.click("#subjects-automatic")
    expect(word(page, "red")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#subjects-automatic")).to_be_hidden()


def newest(page):
    return page.locator("#gallery li").first.get_attribute("data-id")


def test_words_follow_the_prompt(open_studio):
    page = open_studio()
    page.fill("#prompt", "a cat and a cat")
    expect(word(page, "cat")).to_have_count(2)
    word(page, "cat").first.click()
    assert word(page, "cat").nth(1).get_attribute("data-subject") == "cat#2"
    expect(word(page, "cat").nth(1)).to_have_attribute("aria-pressed", "true")
    page.fill("#prompt", "a frog")
    expect(page.locator("#words-note")).to_contain_text("“cat#2” left the prompt.")


def test_progress_arrives_step_by_step(open_studio):
    page = open_studio()
    generate(page, steps=150)
    first = wait_for_step(page, 3)
    assert wait_for_step(page, first + 5) > first
    expect(page.locator("#run [data-testid=stage-picture]")).to_have_attribute("src", re.compile("^data:image/"))
    assert is_painted(page.locator("#run [data-testid=stage-heat]"))
    assert is_painted(page.locator("#run [data-testid=subject-map]").first)
    expect(page.locator("#run [data-testid=loss-line]")).to_have_count(2)
    expect(page.locator("#cancel")).to_be_visible()  # all this before the end


def test_the_view_follows_until_the_slider_is_moved(open_studio):
    page = open_studio()
    generate(page, steps=150)
    wait_for_step(page, 8)
    slider = page.locator("#run [data-testid=step-slider]")
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).to_have_value("0")
    now = wait_for_step(page, 9)
    wait_for_step(page, now + 3)
    expect(slider).to_have_value("0")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^step 1 of 150, timestep \d+$"))


def test_cancel(open_studio, studio):
    page = open_studio()
    before = gallery_size(page, studio)
    generate(page, steps=250)
    wait_for_step(page, 3)
    page.click("#cancel")
    expect(page.locator("#progress-text")).to_have_text("Cancelled.")
    expect(page.locator("#jobs li").first).to_have_attribute("data-state", "cancelled")
    assert gallery_size(page, studio) == before


def test_a_queued_job_waits_and_can_be_cancelled(open_studio):
    page = open_studio()
    generate(page, steps=250)
    wait_for_step(page, 1)
    page.click("#generate")
    waiting = page.locator("#jobs li[data-state=queued]")
    expect(waiting).to_contain_text("waiting")
    waiting.get_by_role("button", name="Cancel").click()
    expect(waiting).to_have_count(0)
    expect(page.locator("#jobs li[data-state=running]")).to_have_count(1)


def test_the_next_job_is_followed(open_studio):
    page = open_studio()
    generate(page, steps=20, seeds="1")
    generate(page, steps=20, seeds="2")
    expect(page.locator("#run .run-name")).to_contain_text("seed 2", timeout=TIMEOUT)
    wait_until_finished(page)


def test_reload_in_the_middle(open_studio):
    page = open_studio()
    generate(page, steps=250)
    before = wait_for_step(page, 8)
    page.reload()
    after = wait_for_step(page, before)
    assert wait_for_step(page, after + 3) > after
    # The steps before the reload are there again.
    page.locator("#run [data-testid=step-slider]").focus()
    page.keyboard.press("Home")
    expect(page.locator("#run [data-testid=step-text]")).to_contain_text("step 1 of 250, timestep")
    assert is_painted(page.locator("#run [data-testid=stage-heat]"))


def test_a_lost_connection_is_shown_and_mended(open_studio, watch):
    watch.expect("net::ERR_FAILED")
    page = open_studio()
    page.route("**/events", lambda route: route.abort())
    generate(page, steps=250)
    expect(page.locator("#connection")).to_be_visible()
    page.unroute("**/events")
    wait_for_step(page, 1)
    expect(page.locator("#connection")).to_be_hidden()


def test_compare_shows_two_pictures(open_studio):
    page = open_studio()
    page.check("#compare")
    generate(page, steps=12)
    wait_until_finished(page)
    pictures = page.locator("#run [data-testid=stage-picture]")
    expect(pictures).to_have_count(2)
    expect(pictures.nth(0)).to_have_attribute("src", f"/api/gallery/{newest(page)}/plain.png")
    expect(pictures.nth(1)).to_have_attribute("src", f"/api/gallery/{newest(page)}/picture.png")
    page.locator("#gallery button").first.click()
    expect(page.locator("#detail [data-testid=stage-picture]")).to_have_count(2)
    # One slider moves both.
    page.locator("#detail [data-testid=step-slider]").focus()
    page.keyboard.press("Home")
    for canvas in page.locator("#detail [data-testid=stage-heat]").all():
        expect(canvas).to_have_attribute("aria-label", re.compile(r"at step 1\b"))


def test_several_seeds(open_studio, studio):
    page = open_studio()
    before = gallery_size(page, studio)
    generate(page, steps=5, seeds="3-4, 9")
    wait_until_finished(page)
    assert gallery_size(page, studio) == before + 3
    expect(page.locator("#gallery li").first).to_contain_text("seed 9")


@pytest.mark.parametrize("way", ["drop", "choose"])
def test_settings_come_back_from_a_picture(open_studio, studio, way):
    page = open_studio()
    page.fill("#prompt", "a cat and a frog")
    expect(word(page, "frog")).to_have_attribute("aria-pressed", "true")
    word(page, "cat").click()
    set_field(page, "thresholds", "0:0.1, 5:0.4")
    generate(page, steps=8, seeds="31")
    wait_until_finished(page)
    picture = page.request.get(f"{studio}/api/gallery/{newest(page)}/picture.png").body()

    page.click("#reset")
    page.fill("#prompt", "something else")
    expect(page.locator("#steps")).to_have_value("")
    expect(page.locator("#subjects-automatic")).to_be_hidden()
    if way == "drop":
        drop(page, picture)
        page.click("#dropped-restore")
    else:
        with page.expect_file_chooser() as chooser:
            page.click("#restore")
        chooser.value.set_files({"name": "31.png", "mimeType": "image/png", "buffer": picture})
    expect(page.locator("#prompt")).to_have_value("a cat and a frog")
    expect(page.locator("#steps")).to_have_value("8")
    expect(page.locator("#seeds")).to_have_value("31")
    expect(page.locator("#thresholds")).to_have_value("0:0.1, 5:0.4")
    expect(word(page, "cat")).to_have_attribute("aria-pressed", "false")
    expect(word(page, "frog")).to_have_attribute("aria-pressed", "true")


def drop(page, picture):
    transfer = page.evaluate_handle(
        """text => {
          const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "31.png", { type: "image/png" }));
          return transfer;
        }""",
        base64.b64encode(picture).decode(),
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": transfer})
    expect(page.locator("#drop-target")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    expect(page.locator("#drop-target")).to_be_hidden()


def test_a_file_without_settings_is_refused(open_studio, watch):
    watch.expect("Failed to load resource")
    page = open_studio()
    page.locator("#restore-file").set_input_files({"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.get_by_role("alert").filter(has_text="notes.png")).to_be_visible()


def test_use_settings_and_same_with_new_seed(open_studio, studio):
    page = open_studio()
    page.fill("#prompt", "a cat and a frog")
    generate(page, steps=6, seeds="11")
    wait_until_finished(page)
    page.fill("#prompt", "something else")
    page.click("#reset")

    page.locator("#gallery button").first.click()
    page.click("#detail-use")
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator("#prompt")).to_have_value("a cat and a frog")
    expect(page.locator("#steps")).to_have_value("6")
    expect(page.locator("#seeds")).to_have_value("11")
    expect(page.locator("#prompt")).to_be_focused()

    page.locator("#gallery button").first.click()
    with page.expect_request(f"{studio}/api/generate") as sent:
        page.click("#detail-again")
    request = sent.value.post_data_json
    assert request["prompt"] == "a cat and a frog"
    assert request["steps"] == 6
    [seed] = request["seeds"]
    expect(page.locator("#run .run-name")).to_contain_text(f"seed {seed}", timeout=TIMEOUT)
    wait_until_finished(page)
    expect(page.locator("#gallery li").first).to_contain_text(f"seed {seed}")


def test_downloads_and_deletion(open_studio, studio):
    page = open_studio()
    generate(page, steps=5)
    wait_until_finished(page)
    before = gallery_size(page, studio)
    gone = newest(page)
    page.locator("#gallery button").first.click()
    for button, ending in (("#detail-png", ".png"), ("#detail-report", ".html")):
        with page.expect_download() as download:
            page.click(button)
        assert download.value.suggested_filename.endswith(ending)
        assert download.value.failure() is None
    page.click("#detail-delete")
    expect(page.locator(f"#gallery li[data-id='{gone}']")).to_have_count(0)
    assert gallery_size(page, studio) == before - 1


def test_keyboard_alone(open_studio):
    page = open_studio()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    tab_to(page, "#prompt")
    page.keyboard.press("Control+A")
    page.keyboard.type("a dog and a boat")
    expect(word(page, "boat")).to_have_attribute("aria-pressed", "true")
    tab_to(page, "#words button")
    page.keyboard.press("Space")
    expect(page.locator("#words button").first).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#words button").first).to_be_focused()
    tab_to(page, "#subjects-automatic")
    page.keyboard.press("Enter")
    tab_to(page, "#group-sampling summary")
    page.keyboard.press("Enter")
    tab_to(page, "#steps")
    page.keyboard.type("8")
    page.keyboard.press("Control+Enter")
    wait_until_finished(page)

    tab_to(page, "#gallery button")
    page.keyboard.press("Enter")
    dialog = page.locator("#detail")
    expect(dialog).to_be_visible()
    tab_to(page, "#detail [data-testid=step-slider]")
    page.keyboard.press("ArrowLeft")
    expect(dialog.locator("[data-testid=step-text]")).to_contain_text("step 7 of 8")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#gallery button").first).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone(open_studio, scheme):
    page = open_studio(width=360, scheme=scheme)
    page.check("#compare")
    generate(page, steps=6)
    wait_until_finished(page)
    for group in page.locator("form details").all():
        group.evaluate("group => { group.open = true; }")
    assert fits(page)
    page.locator("#gallery button").first.click()
    expect(page.locator("#detail [data-testid=stage-picture]")).to_have_count(2)
    expect(page.locator("#detail [data-testid=loss-chart]")).to_be_visible()
    assert fits(page)
    assert page.locator("#detail").evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in colour[4:-1].split(",")) / 3
    assert (brightness < 60) == (scheme == "dark")


def test_a_field_that_cannot_be_read_is_named(open_studio):
    page = open_studio()
    page.fill("#seeds", "7-3")
    page.click("#generate")
    expect(page.get_by_role("alert")).to_have_text("Seeds: the range 7-3 runs backwards.")
    expect(page.locator("#seeds")).to_be_focused()
    page.fill("#seeds", "3")
    set_field(page, "thresholds", "ten")
    page.locator("#group-attend_and_excite").evaluate("group => { group.open = false; }")
    page.click("#generate")
    expect(page.get_by_role("alert")).to_contain_text("Refinement thresholds:")
    expect(page.locator("#thresholds")).to_be_focused()


def test_every_field_has_its_label_and_its_hint(open_studio):
    page = open_studio()
    for group in page.locator("form details").all():
        group.evaluate("group => { group.open = true; }")
    fields = page.locator("form .fields :is(input, select, textarea)").all()
    assert len(fields) > 20
    for field in fields:
        label, hint = field.evaluate(
            """field => [
              field.labels[0]?.textContent ?? "",
              document.getElementById(field.getAttribute("aria-describedby"))?.textContent,
            ]"""
        )
        assert label, field.get_attribute("id")
        assert hint is not None and (hint or field.get_attribute("id") in ("model", "device")), label


def test_a_method_shows_its_own_options_and_is_drawn(open_studio, studio):
    page = open_studio()
    method, guidance = page.locator("#method"), page.locator("#group-attend_and_excite")
    names = method.locator("option").evaluate_all("options => options.map(option => option.value)")
    assert names[:2] == ["attend-and-excite", "stable-diffusion"] and {"ebama", "structure-diffusion"} < set(names)
    expect(guidance).to_be_visible()
    expect(page.locator("#phrases")).to_be_hidden()
    set_field(page, "scale_factor", "15")
    method.select_option("structure-diffusion")
    expect(guidance).to_be_hidden()
    page.fill("#phrases", "a red car, a lion")
    with page.expect_request(f"{studio}/api/generate") as sent:
        generate(page, steps=40)  # long enough to be followed
    request = sent.value.post_data_json
    assert request["phrases"] == ["a red car", "a lion"]
    assert "attend_and_excite" not in request
    wait_until_finished(page)
    expect(page.locator("#run .run-name")).to_contain_text("StructureDiffusion")

    page.locator("#gallery button").first.click()
    expect(page.locator("#detail-settings")).to_contain_text("StructureDiffusion")
    page.click("#detail-use")
    expect(method).to_have_value("structure-diffusion")
    expect(page.locator("#phrases")).to_have_value("a red car, a lion")
    method.select_option("composable-diffusion")
    expect(page.locator("#phrases")).to_be_hidden()
    page.fill("#prompt", "a lion AND a red car")
    page.click("#generate")
    expect(page.locator("#run .run-name")).to_contain_text("Composable Diffusion", timeout=TIMEOUT)
    wait_until_finished(page)


def test_shares_of_the_steps_are_sent_as_they_are_written(open_studio, studio):
    page = open_studio()
    expect(page.locator("#max_iter_to_alter")).to_have_attribute("placeholder", "50%")
    expect(page.locator("#thresholds")).to_have_attribute("placeholder", "0%:0.05, 20%:0.2, 40%:0.25")
    set_field(page, "thresholds", "0%:0.1, 5:0.4, 50 %:0.6")
    set_field(page, "max_iter_to_alter", "60%")
    set_field(page, "scale_range", "1-0.25")
    set_field(page, "attention_res", "16")
    page.uncheck("#smoothing")
    expect(page.locator("#sigma")).to_be_disabled()
    with page.expect_request(f"{studio}/api/generate") as sent:
        page.click("#generate")
    guidance = sent.value.post_data_json["attend_and_excite"]
    assert guidance["thresholds"] == {"0%": 0.1, "5": 0.4, "50%": 0.6}
    assert (guidance["max_iter_to_alter"], guidance["scale_range"]) == ("60%", [1, 0.25])
    assert (guidance["attention_res"], guidance["smoothing"]) == ([16, 16], False)
    set_field(page, "max_iter_to_alter", "half")
    page.click("#generate")
    expect(page.get_by_role("alert")).to_contain_text("Guide until step: write a number of steps")


def test_an_option_that_is_added_is_in_the_form(open_studio, studio, watch):
    watch.expect("net::ERR_FAILED")
    page = open_studio()

    def with_more(route):
        schema = route.fetch().json()
        more = {"x-group": "sampling", "x-order": 1, "description": "How much of it."}
        schema["properties"]["spice"] = {"type": "number", "title": "Spice", "x-kind": "number", "default": 0.5, **more}
        schema["properties"]["herb"] = {"type": "string", "title": "Herb", "x-kind": "choice", "enum": ["sage"], **more}
        route.fulfill(json=schema)

    page.route("**/api/schema", with_more)
    page.reload()
    page.locator("#words button").first.wait_for()
    page.locator("#group-advanced").evaluate("group => { group.open = true; }")
    expect(page.get_by_label("Spice")).to_have_attribute("placeholder", "0.5")
    page.get_by_label("Spice").fill("0,75")
    page.get_by_label("Herb").select_option("sage")
    page.route("**/api/generate", lambda route: route.abort())
    with page.expect_request(f"{studio}/api/generate") as sent:
        page.click("#generate")
    request = sent.value.post_data_json
    assert (request["spice"], request["herb"]) == (0.75, "sage")


def picture_with(settings):
    """A PNG file of one pixel with settings."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        (b"iTXt", b"settings\0\0\0\0\0" + json.dumps(settings).encode()),
        (b"IDAT", zlib.compress(b"\0\0\0\0")),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)


def test_what_the_form_does_not_show_is_sent_and_refused_by_name(open_studio, studio, watch):
    watch.expect("Failed to load resource")
    page = open_studio()
    settings = {"format": 2, "prompt": "a lion and a red car", "seed": 5, "steps": 3, "subjects": ["lion"]}
    picture = picture_with({**settings, "variant": "fp16", "dtype": "f32"})
    page.locator("#restore-file").set_input_files({"name": "5.png", "mimeType": "image/png", "buffer": picture})
    extras = page.locator("#extras-list li")
    expect(extras).to_have_count(1)  # what is as without it is left out
    expect(extras).to_contain_text("Variant: fp16")
    page.reload()
    expect(extras).to_have_count(1)
    page.click("#generate")
    expect(page.get_by_role("alert")).to_contain_text("variant")
    page.get_by_role("button", name="Remove: Variant").click()
    expect(page.locator("#extras")).to_be_hidden()
    with page.expect_request(f"{studio}/api/generate") as sent:
        page.click("#generate")
    assert "variant" not in sent.value.post_data_json
    wait_until_finished(page)


def test_a_picture_of_a_later_version_is_refused(open_studio, watch):
    watch.expect("Failed to load resource")
    page = open_studio()
    picture = picture_with({"format": 99, "prompt": "a lion", "something": 1})
    page.locator("#restore-file").set_input_files({"name": "9.png", "mimeType": "image/png", "buffer": picture})
    expect(page.get_by_role("alert")).to_contain_text("the settings have format 99")


def test_a_field_that_the_server_refuses_is_marked(open_studio, watch):
    watch.expect("Failed to load resource")
    page = open_studio()
    set_field(page, "width", "4096")
    page.click("#generate")
    expect(page.locator("#width-error")).to_have_text("Width: write a multiple of 4 from 4 up to 1024.")
    set_field(page, "width", "8")
    expect(page.locator("#width-error")).to_have_count(0)  # the next edit clears it
    page.click("#generate")
    error = page.locator("#width-error")
    expect(error).to_contain_text("width is 8: expected a multiple of 4, at least 16")
    assert error.get_attribute("id") in page.locator("#width").get_attribute("aria-describedby")
    gap = error.bounding_box()["y"] - page.locator("#width").bounding_box()["y"]
    assert 0 < gap < 120
    expect(page.locator("#width")).to_be_focused()
    expect(page.locator("#width")).to_have_attribute("aria-invalid", "true")


def test_text_stays_text(open_studio):
    page = open_studio()
    prompt = '<img src=x onerror="window.broken=1"> a lion & <b>a car</b>'
    page.fill("#prompt", prompt)
    expect(word(page, "lion")).to_have_attribute("aria-pressed", "true")
    set_field(page, "negative_prompt", "<script>window.broken=1</script>")
    page.locator("#method").select_option("stable-diffusion")
    generate(page, steps=4)
    wait_until_finished(page)
    expect(page.locator("#run-title")).to_have_text(prompt)
    expect(page.locator("#jobs .job-prompt").first).to_have_text(prompt)
    expect(page.locator("#gallery .thumbnail-prompt").first).to_have_text(prompt)
    page.locator("#gallery button").first.click()
    expect(page.locator("#detail-title")).to_have_text(prompt)
    expect(page.locator("#detail-settings")).to_contain_text("<script>window.broken=1</script>")
    expect(page.locator("#detail [data-testid=stage-picture]")).to_be_visible()
    assert page.locator("img[src=x], #detail b, #run b").count() == 0
    assert page.evaluate("window.broken === undefined")


def test_the_form_is_remembered(open_studio):
    page = open_studio()
    page.fill("#prompt", "a cat and a frog")
    set_field(page, "scale_factor", "15.5")
    page.check("#compare")
    page.reload()
    expect(page.locator("#prompt")).to_have_value("a cat and a frog")
    expect(page.locator("#scale_factor")).to_have_value("15.5")
    expect(page.locator("#compare")).to_be_checked()


def test_the_form_works_without_storage(open_studio, studio):
    page = open_studio()
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied'); } })")
    page.reload()
    expect(word(page, "lion")).to_have_attribute("aria-pressed", "true")
    with page.expect_request(f"{studio}/api/generate") as sent:
        generate(page, steps=4)
    assert json.loads(sent.value.post_data)["steps"] == 4
    wait_until_finished(page)


def test_a_token_opens_the_page(new_page, guarded_studio, watch):
    address = guarded_studio.split("?")[0]
    watch.origins.add(address.rstrip("/"))
    watch.expect("401")
    page = new_page()
    assert page.goto(address).status == 401
    page.goto(guarded_studio)
    expect(page).to_have_url(address)
    page.locator("#words button").first.wait_for()
    generate(page, steps=2)
    wait_until_finished(page)
    thumbnail = page.locator("#gallery img").first
    expect(thumbnail).to_be_visible()
    thumbnail.scroll_into_view_if_needed()
    expect(thumbnail).to_have_js_property("complete", True)
    assert thumbnail.evaluate("image => image.naturalWidth") == 128
