"""Requests as chat programs send them, written down from their code."""

import base64
import io

from PIL import Image


def picture(text):
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_sillytavern(send):
    """SillyTavern: src/endpoints/stable-diffusion.js passes on what generateAutoImage of
    public/scripts/extensions/stable-diffusion/index.js asks for, with its own url and auth in the body.
    """
    basic = {"Authorization": "Basic " + base64.b64encode(b"user:password").decode()}
    # The ping, and the lists of its settings.
    assert send("GET", "/sdapi/v1/options", **basic).ok
    names = {path: send("GET", f"/sdapi/v1/{path}", **basic).json() for path in ("samplers", "schedulers", "upscalers")}
    assert [one["name"] for one in names["upscalers"]] == ["None"]
    for path in ("latent-upscale-modes", "sd-vae", "sd-models"):
        assert isinstance(send("GET", f"/sdapi/v1/{path}", **basic).json(), list)
    model = send("GET", "/sdapi/v1/sd-models", **basic).json()[0]["title"]
    assert send("POST", "/sdapi/v1/options", {"sd_model_checkpoint": model}, **basic).ok
    progress = send("GET", "/sdapi/v1/progress", **basic).json()
    assert (progress["progress"], progress["state"]["job_count"]) == (0, 0)
    assert send("GET", "/sdapi/v1/options", **basic).json()["sd_model_checkpoint"] == model
    body = {
        "url": "http://127.0.0.1:7860",
        "auth": "",
        "prompt": "a lion",
        "negative_prompt": "blurry",
        "sampler_name": "Euler a",
        "scheduler": "automatic",
        "steps": 2,
        "cfg_scale": 7,
        "width": 64,
        "height": 64,
        "restore_faces": False,
        "enable_hr": False,
        "hr_upscaler": "Latent",
        "hr_scale": 1.5,
        "denoising_strength": 0.7,
        "hr_second_pass_steps": 0,
        "override_settings": {"CLIP_stop_at_last_layers": 1},
        "override_settings_restore_afterwards": True,
        "clip_skip": 1,
        "save_images": True,
        "send_images": True,
        "do_not_save_grid": False,
        "do_not_save_samples": False,
    }
    answer = send("POST", "/sdapi/v1/txt2img", body, **basic)
    assert answer.ok, answer.text
    assert picture(answer.json()["images"][0]).size == (64, 64)
    assert "auth is not known here" in answer.json()["info"]


def test_open_webui_by_automatic1111(send):
    """open-webui: set_image_model, get_models and image_generations in backend/open_webui/routers/images.py. Without a login it sends
    an empty `authorization`.
    """
    login = {"authorization": ""}
    models = send("GET", "/sdapi/v1/sd-models", **login).json()
    assert all({"title", "model_name"} <= set(model) for model in models)
    options = send("GET", "/sdapi/v1/options", **login).json()
    options["sd_model_checkpoint"] = models[0]["title"]
    assert send("POST", "/sdapi/v1/options", options, **login).ok
    data = {"prompt": "a lion", "batch_size": 1, "width": 64, "height": 64, "steps": 2, "negative_prompt": "blurry"}
    # What its administrator can add.
    data |= {"sampler_name": "DPM++ 2M", "scheduler": "Karras", "cfg_scale": 7.0, "seed": -1.0}
    answer = send("POST", "/sdapi/v1/txt2img", data, **login)
    assert answer.ok, answer.text
    assert picture(answer.json()["images"][0]).size == (64, 64)
    assert answer.json()["info"]


def test_open_webui_by_openai(send):
    """open-webui: image_generations in backend/open_webui/routers/images.py with the engine openai."""
    data = {"model": "embedded", "prompt": "a lion and a red car", "n": 1, "size": "64x64", "response_format": "b64_json", "steps": 2}
    answer = send("POST", "/v1/images/generations", data, Authorization="Bearer none")
    assert answer.ok, answer.text
    for image in answer.json()["data"]:
        assert image.get("url") is None
        assert picture(image["b64_json"]).size == (64, 64)


def test_clients_that_send_every_field(send):
    """Generated clients send what they do not set as null."""
    names = ["negative_prompt", "override_settings", "alwayson_scripts", "script_args", "script_name", "restore_faces", "tiling"]
    names += ["enable_hr", "styles", "sampler_name", "scheduler", "eta", "s_churn", "refiner_checkpoint", "comments"]
    body = {name: None for name in names} | {"prompt": "a lion", "steps": 2.0, "seed": 12.0, "width": 64, "height": 64}
    answer = send("POST", "/sdapi/v1/txt2img", body)
    assert answer.ok, answer.text
    refused = send("POST", "/sdapi/v1/txt2img", body | {"steps": "many"})
    assert (refused.status_code, refused.json()["field"]) == (422, "steps")
