"""The form: what is chosen, what is wrong with it, and what comes back."""

import json
import re

import pytest
from actions import generate, set_field, wait_until_finished
from playwright.sync_api import expect
from test_studio import picture_with, word


def sent(page, studio, act=lambda page: page.click("#generate")):
    """The request that an act sends; nothing is drawn."""
    page.route("**/api/generate", accept)
    with page.expect_response(f"{studio}/api/generate") as answer:
        act(page)
    page.unroute("**/api/generate")
    return answer.value.request.post_data_json


def accept(route):
    """A job that is over at once."""
    job = {"id": "1", "state": "done", "request": route.request.post_data_json, "pictures": [], "notes": [], "seconds": 1}
    route.fulfill(status=202, json=job)


def contrast(element):
    """Contrast of text and ground by the computed colours, as WCAG defines it."""
    return element.evaluate(
        """element => {
          const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
          const light = (colour) => {
            const [r, g, b] = parts(colour).map((part) => part / 255).map((part) =>
              part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          let ground = element;
          while (parts(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
          const [low, high] = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor]
            .map(light).toSorted((a, b) => a - b);
          return (high + 0.05) / (low + 0.05);
        }"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_pointed_at_can_be_read(open_studio, scheme):
    page = open_studio(scheme=scheme)
    chosen, other = word(page, "lion"), word(page, "red")
    expect(chosen).to_have_attribute("aria-pressed", "true")
    buttons = [chosen, other, page.locator("#generate"), page.locator("#dice"), page.locator("#reset")]
    for button in buttons:
        for act in (button.hover, button.focus):
            act()
            assert contrast(button) >= 4.5, button
    # A click must not make what was clicked look as before.
    before = other.evaluate("chip => getComputedStyle(chip).backgroundColor")
    other.click()
    assert other.evaluate("chip => getComputedStyle(chip).backgroundColor") != before
    assert contrast(other) >= 4.5
    chosen.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def fill_from(page, **settings):
    picture = picture_with({"format": 2, "seed": 5, **settings})
    page.locator("#restore-file").set_input_files({"name": "5.png", "mimeType": "image/png", "buffer": picture})


def test_reused_subjects_stay_automatic_and_leave_with_their_words(open_studio, studio):
    page = open_studio()
    note = page.locator("#words-note")
    fill_from(page, prompt="a cat and a frog", subjects=["cat", "frog"])
    expect(word(page, "frog")).to_have_attribute("aria-pressed", "true")
    expect(note).to_have_text("Picked automatically. Click words to change them.")
    page.fill("#prompt", "a lion and a red car")
    expect(word(page, "car")).to_have_attribute("aria-pressed", "true")
    assert "subjects" not in sent(page, studio)

    word(page, "lion").click()
    page.fill("#prompt", "a bear and a red car")
    # Before the words are there.
    assert sent(page, studio, lambda page: page.keyboard.press("Control+Enter"))["subjects"] == ["car"]
    word(page, "red").click()
    page.fill("#prompt", "a bear and a boat")
    expect(note).to_contain_text("2 subjects left the prompt: red, car.")
    assert "subjects" not in sent(page, studio)
    page.click("#subjects-undo")
    expect(page.locator("#prompt")).to_have_value("a bear and a red car")
    expect(word(page, "red")).to_have_attribute("aria-pressed", "true")
    expect(note).to_have_text("Your choice.")


def test_defaults_stay_empty_and_changes_are_marked(open_studio, studio):
    page = open_studio()
    guidance = {"scale_factor": 20.0, "attention_scale": 30.0, "max_iter_to_alter": "50%", "max_refinement_steps": 7}
    settings = {"steps": 50, "guidance_scale": 5.0, "scheduler": "ddim", "width": 128, "height": 128}
    fill_from(page, prompt="a cat and a frog", **settings, attend_and_excite=guidance)
    expect(page.locator("#max_refinement_steps")).to_have_value("7")
    for name in ["steps", "guidance_scale", "scheduler", "width", "height", "attention_scale", "max_iter_to_alter"]:
        expect(page.locator(f"#{name}")).to_have_value("")
    expect(page.locator(".changed")).to_have_count(1)
    request = sent(page, studio)
    assert request["attend_and_excite"] == {"max_refinement_steps": 7}
    assert "steps" not in request and "width" not in request
    page.locator("#group-attend_and_excite").evaluate("group => { group.open = true; }")
    page.locator(".changed").get_by_role("button").click()
    expect(page.locator("#max_refinement_steps")).to_have_value("")
    expect(page.locator(".changed")).to_have_count(0)


def test_what_is_restored_can_be_undone(open_studio):
    page = open_studio()
    page.fill("#prompt", "a dog and a boat")
    set_field(page, "steps", 11)
    fill_from(page, prompt="a cat and a frog", steps=3)
    toast = page.locator(".toast")
    expect(toast).to_contain_text("The settings are in the form.")
    expect(page.locator("#steps")).to_have_value("3")
    toast.get_by_role("button", name="Undo").click()
    expect(page.locator("#prompt")).to_have_value("a dog and a boat")
    expect(page.locator("#steps")).to_have_value("11")
    expect(toast).to_have_count(0)


def test_a_prompt_without_a_noun_is_not_sent(open_studio):
    page = open_studio()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.fill("#prompt", "running quickly")
    expect(page.locator("#words-note")).to_have_text("No subject found. Click the words that must appear.")
    page.click("#generate")
    expect(page.locator("#words-error")).to_have_text("No subject found. Click the words that must appear.")
    expect(word(page, "running")).to_be_focused()
    assert not any(url.endswith("/api/generate") for url in requests)
    word(page, "running").click()
    expect(page.locator("#words-error")).to_have_count(0)


def test_a_long_prompt_is_folded_and_its_cut_is_short(open_studio):
    page = open_studio()
    page.fill("#prompt", "a cat and a frog " * 30)
    more = page.locator("#words-more")
    expect(more).to_have_text("Show all 150 words")
    assert page.locator("#words").bounding_box()["height"] < 140
    warning = page.locator("#words-warning")
    expect(warning).to_contain_text("The prompt is too long")
    assert len(warning.inner_text()) < 150
    expect(page.locator("#words-note")).to_contain_text("two or three work best")
    more.click()
    expect(word(page, "frog").last).to_be_visible()
    more.click()
    expect(word(page, "frog").last).to_be_hidden()


def test_every_option_of_the_command_line_is_on_the_page(open_studio, studio):
    page = open_studio()
    schema = page.request.get(f"{studio}/api/schema").json()
    own = {"prompt", "subjects", "token_indices", "seed", "seeds", "compare", "format", "version"}
    missing = []
    for name, option in schema["properties"].items():
        members = option["properties"] if "x-kind" not in option else {name: option}
        for member, each in members.items():
            is_drawn = each.get("x-group") in ("prompt", "sampling", "method", "objective") or "x-kind" not in option
            if is_drawn and member not in own and page.locator(f"#{member}").count() != 1:
                missing.append(member)
    assert missing == []
    # Every method says what it is, and shows what it reads and no more.
    hints, some = set(), sorted({name for method in schema["x-methods"] for name in method["options"]})
    for method in schema["x-methods"]:
        page.locator("#method").select_option(method["name"])
        hints.add(page.locator("#method-hint").inner_text())
        shown = page.evaluate("names => names.filter(name => !document.getElementById(name).closest('.field, .check').hidden)", some)
        assert shown == sorted(method["options"]), method["name"]
        for group in ("attend_and_excite", "objective"):
            members = [name for name, each in schema["properties"].items() if each.get("x-group") == group]
            members += schema["properties"].get(group, {}).get("properties", {})
            expect(page.locator(f"#group-{group}")).to_be_visible(visible=bool(set(members) & set(method["options"])))
    assert len(hints) == len(schema["x-methods"])


def test_a_method_brings_its_defaults_and_what_it_reads(open_studio, studio):
    page = open_studio()
    page.locator("#method").select_option("ebama")
    page.fill("#pairs", "red:car")
    set_field(page, "intensity", "0.25")
    request = sent(page, studio)
    assert (request["method"], request["pairs"], request["intensity"]) == ("ebama", ["red:car"], 0.25)
    assert "attend_and_excite" not in request and "boxes" not in request
    page.locator("#method").select_option("boxdiff")
    page.fill("#boxes", "lion:0,0,0.5,1; car:0.5,0,1,1")
    request = sent(page, studio)
    assert request["boxes"] == ["lion:0,0,0.5,1", "car:0.5,0,1,1"]
    assert "pairs" not in request and "intensity" not in request
    page.locator("#method").select_option("conform")
    expect(page.locator("#max_iter_to_alter")).to_have_attribute("placeholder", "60%")


def test_sizes_by_format(open_studio, studio):
    page = open_studio()
    preset, width, height = (page.locator(f"#{name}") for name in ("size-preset", "width", "height"))
    expect(preset.locator("option").first).to_have_text("As the model, 128 × 128")
    preset.select_option("3:2")
    expect(width).to_have_value("156")
    expect(height).to_have_value("104")
    page.click("#size-swap")
    expect(width).to_have_value("104")
    expect(preset).to_have_value("2:3")
    request = sent(page, studio)
    assert (request["width"], request["height"]) == (104, 156)
    width.fill("128")
    expect(preset).to_have_value("other")
    preset.select_option("")
    expect(width).to_have_value("")


def test_prompts_come_back(open_studio):
    page = open_studio()
    page.route("**/api/generate", accept)
    prompt = page.locator("#prompt")
    for text in ("a cat and a frog", "a dog and a boat"):
        prompt.fill(text)
        with page.expect_response("**/api/generate"):
            prompt.press("Control+Enter")
    prompt.fill("a bear and")
    prompt.press("Home")
    prompt.press("ArrowUp")
    expect(prompt).to_have_value("a dog and a boat")
    prompt.press("ArrowUp")
    expect(prompt).to_have_value("a cat and a frog")
    prompt.press("ArrowUp")
    expect(prompt).to_have_value("a cat and a frog")
    for _ in range(2):
        prompt.press("End")
        prompt.press("ArrowDown")
    expect(prompt).to_have_value("a bear and")  # what was being written is not lost
    page.reload()
    page.get_by_text("Recent", exact=True).click()
    page.get_by_role("button", name="a cat and a frog", exact=True).click()
    expect(prompt).to_have_value("a cat and a frog")
    expect(word(page, "frog")).to_have_attribute("aria-pressed", "true")


def test_settings_have_names(open_studio, studio):
    page = open_studio()
    set_field(page, "steps", 12)
    page.locator("#method").select_option("composable-diffusion")
    set_field(page, "saved-name", "quick")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("“quick” saved.")
    page.click("#reset")
    page.fill("#prompt", "a cat and a frog")
    page.fill("#seeds", "3,4")
    page.reload()
    page.locator("#group-presets").evaluate("group => { group.open = true; }")
    page.click("#saved-use")
    expect(page.locator("#steps")).to_have_value("12")
    expect(page.locator("#method")).to_have_value("composable-diffusion")
    expect(page.locator("#prompt")).to_have_value("a cat and a frog")
    expect(page.locator("#seeds")).to_have_value("3,4")
    page.click("#saved-delete")
    expect(page.locator("#saved-settings")).to_be_disabled()
    page.locator(".toast").get_by_role("button", name="Undo").last.click()
    expect(page.locator("#saved-settings")).to_have_value("quick")


def test_copies(open_studio, studio):
    page = open_studio()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    set_field(page, "steps", 12)
    page.fill("#seeds", "7")
    page.fill("#prompt", "a cat's hat and a frog")

    def copied(name):
        page.locator("#form-tools summary").click()
        page.locator("#form-tools").get_by_role("button", name=name, exact=True).click()
        expect(page.locator(".toast")).to_have_count(1)
        text = page.evaluate("navigator.clipboard.readText()")
        page.locator(".toast button").last.click()
        return text

    assert copied("Prompt") == "a cat's hat and a frog"
    command = copied("Command line")
    assert command.startswith('ae generate --prompt "a cat\'s hat and a frog" --steps 12')
    assert "--seeds=7" in command
    curl = copied("curl")
    body = curl.split(" -d ", 1)[1].strip("'").replace("'\\''", "'")
    assert json.loads(body) | {"prompt": "a cat's hat and a frog", "steps": 12, "seeds": [7]} == json.loads(body)
    assert f"{studio}/api/generate" in curl
    program = copied("Python")
    compile(program, "copied", "exec")
    assert re.search(r"^\s*request = json\.loads\(", program, re.M)
    parameters = copied("A1111 parameters")
    assert parameters.startswith("a cat's hat and a frog\n")
    for part in ("Steps: 12", "Sampler: DDIM", "CFG scale: 5", "Seed: 7", "Size: 128x128"):
        assert part in parameters


def test_the_first_visit_compares_and_offers_examples(open_studio, studio):
    page = open_studio(first_visit=True)
    expect(page.locator("#compare")).to_be_checked()
    request = sent(page, studio, lambda page: page.get_by_role("button", name="a cat and a frog").click())
    assert (request["prompt"], request["compare"]) == ("a cat and a frog", True)
    page.reload()
    expect(word(page, "frog")).to_be_visible()
    expect(page.locator("#examples")).to_be_hidden()


def test_what_has_no_effect_is_said(open_studio, studio):
    page = open_studio()
    set_field(page, "guidance_scale", "1")
    set_field(page, "guidance_rescale", "0.5")
    generate(page, steps=3)
    note = page.locator("#run-notes li")
    expect(note).to_contain_text("guidance_rescale has no effect")
    wait_until_finished(page)
    expect(note).to_have_count(1)
    [job] = page.request.get(f"{studio}/api/jobs").json()["jobs"][:1]
    assert job["notes"] == [note.inner_text()]


@pytest.mark.parametrize(
    ("field", "value"), [("attention_res", "7"), ("kernel_size", "4"), ("sigmas", "karras"), ("phrases", "a dog")]
)
def test_what_the_server_refuses_stands_below_its_field(open_studio, watch, field, value):
    watch.expect("Failed to load resource")
    page = open_studio()
    if field == "phrases":
        page.locator("#method").select_option("structure-diffusion")
    set_field(page, field, value)
    page.click("#generate")
    expect(page.locator(f"#{field}-error")).to_be_visible()
    expect(page.locator(f"#{field}")).to_be_focused()
    expect(page.locator(f"#{field}-error")).to_be_in_viewport()
    expect(page.locator("#form-error")).to_be_hidden()


def test_the_settings_of_a_picture_can_be_copied(open_studio):
    page = open_studio()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    generate(page, steps=2, seeds="12")
    wait_until_finished(page)
    page.locator("#gallery li button").first.click()
    page.locator("#detail-actions summary").click()
    page.locator("#detail").get_by_role("button", name="Command line").click()
    expect(page.locator("#detail .toast")).to_contain_text("Command line copied.")
    command = page.evaluate("navigator.clipboard.readText()")
    assert "--seeds=12" in command and "--steps 2" in command and "--model" not in command
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator(".toast")).to_be_visible()  # it stays to its end


def test_low_memory_is_for_one_job(open_studio, studio):
    page = open_studio()
    page.evaluate("document.getElementById('low_memory').closest('details').open = true")
    page.check("#low_memory")
    with page.expect_request(f"{studio}/api/generate") as sent:
        generate(page, steps=2)
    assert sent.value.post_data_json["low_memory"] is True
    wait_until_finished(page)
    page.uncheck("#low_memory")
    with page.expect_request(f"{studio}/api/generate") as sent:
        page.click("#generate")
    assert "low_memory" not in sent.value.post_data_json
    wait_until_finished(page)
