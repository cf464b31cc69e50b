"""webuiapi, the Python client of AUTOMATIC1111's API, whole: https://github.com/mix1009/sdwebuiapi."""

import pytest
import webuiapi
from PIL import Image

from conftest import TOKEN

FEW = {"steps": 2, "width": 64, "height": 64}


@pytest.fixture
def api(studio, session):
    host, port = studio.removeprefix("http://").split(":")
    api = webuiapi.WebUIApi(host=host, port=int(port), sampler="Euler a", steps=2)
    api.session = session
    api.check_extensions()
    return api


def test_txt2img_with_all_that_it_sends(api):
    result = api.txt2img(prompt="a lion and a red car", negative_prompt="blurry", seed=7, cfg_scale=7, batch_size=2, **FEW)
    assert [image.size for image in result.images] == [(64, 64)] * 2
    assert result.info["all_seeds"] == [7, 8]
    assert result.info["sampler_name"] == "Euler a"
    assert "not known here" not in str(result.info["notes"])
    assert result.image.text["parameters"] == result.info["infotexts"][0]
    assert result.parameters["method"] == "stable-diffusion"


def test_the_script(api):
    script = {"attend_and_excite": {"args": [{"subjects": ["lion", "car"], "max_refinement_steps": 1.0}]}}
    result = api.txt2img(prompt="a lion and a red car", seed=7, alwayson_scripts=script, sampler_name="DDIM", eta=0, **FEW)
    assert result.parameters["subjects"] == ["lion", "car"]
    assert "attend_and_excite" in api.get_scripts()["txt2img"]


def test_switched_off_extensions_ask_for_nothing(api):
    api.has_controlnet = api.has_adetailer = api.has_animatediff = True
    assert len(api.txt2img(prompt="a lion", alwayson_scripts={}, **FEW).images) == 1
    with pytest.raises(RuntimeError, match="there is no script .+ControlNet"):
        api.txt2img(prompt="a lion", alwayson_scripts={}, controlnet_units=[webuiapi.ControlNetUnit()], **FEW)


def test_img2img_and_inpainting(api):
    start = Image.new("RGB", (64, 64), "red")
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (16, 16, 48, 48))
    result = api.img2img(images=[start], prompt="a lion", seed=1, denoising_strength=0.5, **FEW)
    assert result.image.size == (64, 64)
    inpainted = api.img2img(
        images=[start], mask_image=mask, mask_blur=0, inpainting_fill=1, inpaint_full_res=False, prompt="a lion", seed=1, **FEW
    )
    assert inpainted.image.convert("RGB").getpixel((1, 1)) == (255, 0, 0)
    with pytest.raises(RuntimeError, match="inpainting_fill"):
        api.img2img(images=[start], mask_image=mask, prompt="a lion", **FEW)


def test_png_info(api):
    drawn = api.txt2img(prompt="a lion", seed=3, **FEW).image
    said = api.png_info(drawn)
    assert said.info == drawn.text["parameters"]
    assert said.parameters["Seed"] == "3"


def test_options_and_models(api):
    options = api.get_options()
    api.set_options(options)
    api.util_set_model("embedded")
    assert api.util_get_current_model() == "embedded"
    api.set_options({"CLIP_stop_at_last_layers": 2})
    try:
        assert api.txt2img(prompt="a lion", **FEW).info["clip_skip"] == 2
    finally:
        api.set_options({"CLIP_stop_at_last_layers": 1})
    api.util_wait_for_ready()


def test_lists(api):
    assert "Euler a" in api.util_get_sampler_names()
    assert "karras" in api.util_get_scheduler_names()
    assert api.get_upscalers()[0]["name"] == "None"
    assert api.get_memory()["ram"]
    assert api.get_cmd_flags()["api"]
    lists = [api.get_sd_vae, api.get_latent_upscale_modes, api.get_loras, api.get_hypernetworks, api.get_face_restorers]
    for get in [*lists, api.get_realesrgan_models, api.get_prompt_styles]:
        assert isinstance(get(), list)
    assert api.get_embeddings()["loaded"] == {}
    api.refresh_checkpoints()


def test_progress_interrupt_and_skip(api):
    assert api.get_progress()["progress"] == 0
    assert api.interrupt() == {}
    api.skip()


def test_what_is_not_there_is_refused_by_name(api):
    picture = Image.new("RGB", (8, 8))
    for call, name in [
        (lambda: api.interrogate(picture), "interrogate"),
        (lambda: api.extra_single_image(picture), "extra-single-image"),
        (lambda: api.extra_batch_images([picture]), "extra-batch-images"),
        (lambda: api.txt2img(enable_hr=True, prompt="a lion", **FEW), "enable_hr"),
    ]:
        with pytest.raises(RuntimeError, match=name):
            call()


def test_log_in_with_the_token_as_password(guarded_studio):
    host, port = guarded_studio.removeprefix("http://").split(":")
    api = webuiapi.WebUIApi(host=host, port=int(port), username="me", password=TOKEN)
    assert api.get_options()["sd_model_checkpoint"] == "embedded"
