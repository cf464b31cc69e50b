"""Models, what they can draw, their downloads, and what is loaded beside them."""

import os
import shutil
import threading

import pytest
from actions import TIMEOUT, gallery_size, generate, set_field, wait_until_finished
from conftest import serving
from made_files import SPRITES, embedding, hub, lora
from playwright.sync_api import expect
from test_studio import word


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Folders with a LoRA, an embedding, an autoencoder and a model."""
    place = tmp_path_factory.mktemp("places")
    for name in ("loras", "embeddings", "vaes", "models"):
        (place / name).mkdir()
    (place / "loras/ink.safetensors").write_bytes(lora())
    (place / "embeddings/toy.safetensors").write_bytes(embedding("toy"))
    shutil.copytree(SPRITES / "vae", place / "vaes/vae")
    shutil.copytree(SPRITES, place / "models/mine")
    return place


@pytest.fixture(scope="module")
def rich_studio(ae, places, tmp_path_factory):
    """A studio with files to choose from."""
    options = [
        *("--lora-dir", places / "loras", "--embedding-dir", places / "embeddings"),
        *("--vae-dir", places / "vaes", "--model-dir", places / "models"),
    ]
    with serving(ae, tmp_path_factory.mktemp("gallery"), *options) as address:
        yield address.rstrip("/")


@pytest.fixture
def open_rich(new_page, rich_studio, watch):
    def open_page(**options):
        watch.origins.add(rich_studio)
        page = new_page(**options)
        page.goto(rich_studio)
        page.locator("#words button").first.wait_for()
        page.uncheck("#compare")
        return page

    return open_page


def test_the_model_says_what_it_can_draw(open_studio):
    page = open_studio()
    words = page.locator("#model-words")
    expect(words.locator("summary")).to_have_text("Draws 24 things in 11 colours, 128 × 128")
    expect(page.locator("#model-facts")).to_contain_text("loaded")
    words.locator("summary").click()
    page.fill("#prompt", "")
    for each in ("apple", "crown", "red"):
        words.get_by_role("button", name=each, exact=True).click()
    expect(page.locator("#prompt")).to_have_value("an apple and a red crown")
    words.get_by_role("button", name="orange", exact=True).click()
    expect(page.locator("#prompt")).to_have_value("an apple and a red orange crown")


def test_a_noun_that_it_has_not_learned_is_named(open_studio):
    page = open_studio()
    expect(page.locator("#unknown-words")).to_be_hidden()
    page.fill("#prompt", "an astronaut and a red Car")
    expect(page.locator("#unknown-words .chip")).to_have_text(["astronaut"])
    page.fill("#prompt", "a lion and a red car")
    expect(page.locator("#unknown-words")).to_be_hidden()


def recorded(page, studio):
    wait_until_finished(page)
    entry = page.locator("#gallery li").first.get_attribute("data-id")
    return page.request.get(f"{studio}/api/gallery/{entry}").json()["settings"], page.request.get(
        f"{studio}/api/gallery/{entry}/picture.png"
    ).body()


def image_of(png):
    """The pixels of a PNG file as it has them, without its texts."""
    parts, place = [], 8
    while place < len(png):
        size = int.from_bytes(png[place : place + 4], "big")
        if png[place + 4 : place + 8] == b"IDAT":
            parts.append(png[place + 8 : place + 8 + size])
        place += size + 12
    return b"".join(parts)


def wait_for_more(page, before):
    expect(page.locator("#gallery-total")).to_have_text(str(before + 1), timeout=TIMEOUT)
    wait_until_finished(page)


def draw(page, studio, steps=6):
    before = gallery_size(page, studio)
    generate(page, steps=steps)
    wait_for_more(page, before)
    return recorded(page, studio)


def test_a_lora_changes_the_picture_and_comes_back_with_its_settings(open_rich, rich_studio):
    page = open_rich()
    plain, plain_picture = draw(page, rich_studio)
    assert plain["loras"] == []
    page.evaluate("document.getElementById('group-additions').open = true")
    page.select_option("#add-loras", "ink.safetensors")
    strength = page.get_by_label("Strength of ink.safetensors", exact=True)
    strength.fill("0.75")
    strength.blur()
    settings, picture = draw(page, rich_studio)
    [recorded_lora] = settings["loras"]
    assert (recorded_lora["name"], recorded_lora["strength"]) == ("ink.safetensors", 0.75)
    assert len(recorded_lora["sha256"]) == 64
    assert image_of(picture) != image_of(plain_picture)

    page.get_by_role("button", name="Remove: ink.safetensors").click()
    expect(page.locator("#add-loras")).to_be_focused()
    _, again = draw(page, rich_studio)
    assert image_of(again) == image_of(plain_picture)

    # The picture with it, by its tag, as the one before.
    page.fill("#prompt", "a lion and a red car <lora:ink:0.75>")
    set_field(page, "prompt_syntax", "a1111")
    tagged, by_tag = draw(page, rich_studio)
    assert tagged["loras"] == settings["loras"] and tagged["prompt"] == "a lion and a red car"
    page.locator("#gallery li button, #gallery li a").first.click()
    page.click("#detail-use")
    expect(page.get_by_label("Strength of ink.safetensors", exact=True)).to_have_value("0.75")
    expect(page.locator("#extras")).to_be_hidden()
    set_field(page, "prompt_syntax", "plain")
    same, by_field = draw(page, rich_studio)
    assert same["loras"] == settings["loras"] and image_of(by_field) == image_of(picture)


def test_an_embedding_brings_a_token_and_a_vae_is_chosen(open_rich, rich_studio):
    page = open_rich()
    page.evaluate("document.getElementById('group-additions').open = true")
    page.select_option("#add-embeddings", "toy.safetensors")
    page.select_option("#vae", "vae")
    page.fill("#prompt", "a toy and a lion")
    expect(word(page, "toy")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#unknown-words")).to_be_hidden()
    settings, _ = draw(page, rich_studio)
    assert settings["embeddings"][0]["name"] == "toy.safetensors" and "toy" in settings["subjects"]
    assert len(settings["vae"]["sha256"]) == 64


def test_what_is_not_there_is_refused_by_its_field(open_rich, rich_studio, watch):
    watch.expect("Failed to load resource")
    page = open_rich()
    for body, field in [
        ({"loras": [{"name": "/etc/passwd"}]}, "loras"),
        ({"embeddings": [{"name": "../loras/ink.safetensors"}]}, "embeddings"),
        ({"vae": {"name": "none"}}, "vae"),
        ({"prompt": "a lion <lora:none:1>", "prompt_syntax": "a1111"}, "prompt"),
        ({"model": "sd14"}, "model"),
    ]:
        answer = page.request.post(f"{rich_studio}/api/generate", data={"prompt": "a lion", **body})
        assert answer.status == 422 and answer.json()["field"] == field, answer.text()
    page.fill("#prompt", "a lion <lora:none:1>")
    set_field(page, "prompt_syntax", "a1111")
    expect(page.locator("#words-warning")).to_contain_text("there is no LoRA 'none' here")


def test_a_model_of_a_folder_is_chosen_and_drawn_with(open_rich, rich_studio):
    page = open_rich()
    page.select_option("#model", "mine")
    expect(page.locator("#model-facts")).to_contain_text("on disk")
    expect(page.locator("#model-words summary")).to_contain_text("24 things")
    settings, _ = draw(page, rich_studio, steps=3)
    assert settings["model"] == "mine"
    expect(page.locator("#model-facts")).to_contain_text("loaded")
    models = page.request.get(f"{rich_studio}/api/models").json()["models"]
    assert [model["id"] for model in models if model["loaded"]] == ["mine"]


@pytest.mark.parametrize("width", [1280, 390])
def test_a_model_is_downloaded_with_progress_and_can_be_stopped(ae, new_page, watch, tmp_path, monkeypatch, width):
    gate = threading.Event()
    with hub("CompVis/stable-diffusion-v1-4", gate) as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            monkeypatch.delenv(name, raising=False)
        with serving(ae, tmp_path / "gallery") as address:
            studio = address.rstrip("/")
            watch.origins.add(studio)
            page = new_page(width=width)
            page.goto(studio)
            page.locator("#words button").first.wait_for()
            page.select_option("#model", "sd14")
            expect(page.locator("#model-facts")).to_contain_text("CreativeML OpenRAIL-M · not downloaded")
            page.click("#model-download")
            expect(page.locator("#model-download-note")).to_contain_text("unet/diffusion_pytorch_model.safetensors", timeout=TIMEOUT)
            expect(page.locator("#model-progress")).to_be_visible()
            page.reload()
            expect(page.locator("#model-progress")).to_be_visible()
            page.click("#model-cancel")
            gate.set()
            expect(page.locator("#model-download-note")).to_contain_text("Stopped at", timeout=TIMEOUT)
            page.click("#model-download")
            expect(page.locator("#model-facts")).to_contain_text("on disk", timeout=TIMEOUT)
            expect(page.locator("#model-download")).to_have_count(0)
            page.uncheck("#compare")
            settings, _ = draw(page, studio, steps=3)
            assert settings["model"] == "sd14" and len(settings["revision"]) == 40
            # Before the studio ends, which the page would miss.
            page.close()
