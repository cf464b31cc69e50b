"""Pictures that start from another one, and masks that are painted."""

from actions import drop, generate, set_field, wait_until_finished
from made_files import halves, png
from playwright.sync_api import expect


def choose(page, content=None, name="halves.png"):
    file = {"name": name, "mimeType": "image/png", "buffer": content or halves()}
    page.locator("#start-file").set_input_files(file)
    expect(page.locator("#start-image")).to_be_visible()


def paint(page, places):
    """Draws a line through places, as shares of the canvas."""
    canvas = page.locator(".mask-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


def pixels(page, entry, places):
    """Colours of a picture of the gallery."""
    return page.evaluate(
        """async ([url, places]) => {
          const image = new Image();
          image.src = url;
          await image.decode();
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [image.width, image.height];
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          return places.map(([x, y]) => [...context.getImageData(x, y, 1, 1).data].slice(0, 3));
        }""",
        [f"/api/gallery/{entry}/picture.png", places],
    )


def newest(page):
    return page.locator("#gallery li").first.get_attribute("data-id")


def test_a_part_of_a_picture_is_drawn_anew(open_studio, studio):
    page = open_studio()
    choose(page)
    expect(page.locator("#start-name")).to_have_text("halves.png")
    page.check("#use-mask")
    expect(page.locator("#mask-note")).to_contain_text("Nothing is painted")
    page.click("#generate")
    expect(page.locator("#use-mask-error")).to_contain_text("Paint what is to change")

    page.locator("#mask-size").fill("45")
    paint(page, [(0.75, 0.05), (0.75, 0.95)])
    expect(page.locator("#mask-note")).to_contain_text("% of the picture is drawn anew.")
    set_field(page, "mask_blur", "1")
    page.uncheck("#compare")
    with page.expect_request(f"{studio}/api/generate") as sent:
        generate(page)
    request = sent.value.post_data_json
    assert request["init_image"]["name"] == "halves.png" and len(request["init_image"]["sha256"]) == 64
    assert request["mask"]["name"] == "mask.png" and request["mask_blur"] == 1
    wait_until_finished(page)
    entry = newest(page)
    settings = page.request.get(f"{studio}/api/gallery/{entry}").json()["settings"]
    assert settings["init_image"] == request["init_image"] and settings["mask"] == request["mask"]
    assert settings["strength"] == 1
    left, right = pixels(page, entry, [(4, 64), (96, 64)])
    assert left == [40, 160, 60] and right != [40, 80, 220]

    # The gallery's entry brings image and mask back, and draws the same.
    page.click("#reset")
    expect(page.locator("#start-chosen")).to_be_hidden()
    page.locator("#gallery li button, #gallery li a").first.click()
    page.click("#detail-use")
    expect(page.locator("#start-image")).to_be_visible()
    expect(page.locator("#mask-note")).to_contain_text("% of the picture is drawn anew.")
    with page.expect_request(f"{studio}/api/generate") as again:
        page.click("#generate")
    assert again.value.post_data_json["mask"] == request["mask"]
    wait_until_finished(page)
    page.wait_for_function("id => document.querySelector('#gallery li').dataset.id !== id", arg=entry)
    places = [(x, y) for x in range(2, 128, 14) for y in range(2, 128, 14)]
    assert pixels(page, newest(page), places) == pixels(page, entry, places)


def test_strength_is_a_slider_and_a_number(open_studio, studio, watch):
    watch.expect("Failed to load resource")
    page = open_studio()
    choose(page)
    page.locator("#strength-slider").fill("0.35")
    expect(page.locator("#strength")).to_have_value("0.35")
    page.route("**/api/generate", lambda route: route.abort())
    with page.expect_request(f"{studio}/api/generate") as sent:
        page.click("#generate")
    assert sent.value.post_data_json["strength"] == 0.35 and "mask" not in sent.value.post_data_json
    page.click("#start-remove")
    expect(page.locator("#start-choose")).to_be_focused()
    with page.expect_request(f"{studio}/api/generate") as sent:
        page.click("#generate")
    assert "init_image" not in sent.value.post_data_json and "strength" not in sent.value.post_data_json


def coverage(page):
    return int(page.locator("#mask-note").inner_text().split(" %")[0])


def test_a_mask_is_erased_inverted_filled_and_loaded(open_studio):
    page = open_studio(width=390)
    choose(page)
    page.check("#use-mask")
    page.locator("#mask-size").fill("20")
    paint(page, [(0.1, 0.5), (0.9, 0.5)])
    painted = coverage(page)
    assert 12 < painted < 30
    page.check("#mask-erase")
    paint(page, [(0.5, 0.5), (0.9, 0.5)])
    erased = coverage(page)
    assert erased < painted - 4
    page.click("#mask-invert-now")
    assert abs(coverage(page) - (100 - erased)) <= 1
    page.click("#mask-all")
    assert coverage(page) == 100
    page.click("#mask-clear")
    expect(page.locator("#mask-note")).to_contain_text("Nothing is painted")
    # Without a pointer: a file.
    page.locator("#mask-load").focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    quarter = png(64, 64, lambda x, y: (255,) * 3 if x < 32 and y < 32 else (0,) * 3)
    chooser.value.set_files({"name": "quarter.png", "mimeType": "image/png", "buffer": quarter})
    expect(page.locator("#mask-note")).to_have_text("25 % of the picture is drawn anew.")
    page.check("#only-masked")
    expect(page.locator("#mask_padding")).to_have_value("32")


def test_a_finger_paints(open_studio):
    page = open_studio(width=390, has_touch=True, is_mobile=True)
    choose(page)
    page.check("#use-mask")
    canvas = page.locator(".mask-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    client = page.context.new_cdp_session(page)
    touch = lambda kind, x, y: client.send(
        "Input.dispatchTouchEvent",
        {"type": kind, "touchPoints": [] if kind == "touchEnd" else [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}]},
    )
    top = page.evaluate("scrollY")
    touch("touchStart", 0.5, 0.2)
    for step in range(3, 9):
        touch("touchMove", 0.5, step / 10)
    touch("touchEnd", 0, 0)
    expect(page.locator("#mask-note")).to_contain_text("% of the picture is drawn anew.")
    assert page.evaluate("scrollY") == top


def test_a_dropped_picture_asks_what_for(open_studio, watch):
    watch.expect("Failed to load resource")
    page = open_studio()
    drop(page, png(200, 100, lambda x, y: (x, y, 0)), "photo.png")
    expect(page.locator("#dropped-title")).to_have_text("photo.png")
    expect(page.locator("#dropped-restore")).to_be_disabled()
    page.click("#dropped-start")
    expect(page.locator("#start-name")).to_have_text("photo.png")
    # It is as large as suits the model, in its proportions.
    expect(page.locator("#width")).to_have_value("128")
    expect(page.locator("#height")).to_have_value("64")
    expect(page.locator("#start-note")).to_contain_text("200 × 100")

    from test_studio import picture_with

    drop(page, picture_with({"format": 2, "prompt": "a cat and a frog", "seed": 5}), "5.png")
    page.click("#dropped-restore")
    expect(page.locator("#prompt")).to_have_value("a cat and a frog")
    expect(page.locator("#start-chosen")).to_be_hidden()
    expect(page.locator("#dropped")).to_have_count(0)


def test_what_is_no_picture_is_said(open_studio, watch):
    watch.expect("Failed to load resource")
    page = open_studio()
    file = {"name": "no.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.locator("#start-file").set_input_files(file)
    expect(page.locator("#start-error")).to_contain_text("expected PNG, JPEG or WebP")
    expect(page.locator("#start-chosen")).to_be_hidden()
    # The settings of a picture whose image never was here.
    from test_studio import picture_with

    settings = {"format": 2, "prompt": "a lion", "seed": 5, "init_image": {"name": "far.png", "sha256": "0" * 64}}
    picture = picture_with({**settings, "strength": 0.5})
    page.locator("#restore-file").set_input_files({"name": "5.png", "mimeType": "image/png", "buffer": picture})
    expect(page.locator("#start-error")).to_contain_text("“far.png” any more")
    page.click("#generate")
    expect(page.locator("#start-choose-error")).to_contain_text("init_image names the image 'far.png'")
