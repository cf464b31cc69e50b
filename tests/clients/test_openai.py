"""The Python client of OpenAI."""

import base64
import io

import openai
import pytest
import requests
from PIL import Image

from conftest import TOKEN


def client(studio, key="none"):
    return openai.OpenAI(base_url=f"{studio}/v1", api_key=key, max_retries=0)


def test_pictures(studio):
    answer = client(studio).images.generate(
        model="embedded", prompt="a lion and a red car", n=2, size="64x64", response_format="b64_json", extra_body={"steps": 2}
    )
    assert [Image.open(io.BytesIO(base64.b64decode(one.b64_json))).size for one in answer.data] == [(64, 64)] * 2
    answer = client(studio).images.generate(
        prompt="a lion and a red car", size="64x64", response_format="url", extra_body={"steps": 2, "subjects": ["lion"]}
    )
    picture = requests.get(answer.data[0].url, timeout=20)
    assert Image.open(io.BytesIO(picture.content)).size == (64, 64)


def test_a_prompt_without_a_noun(studio):
    answer = client(studio).images.generate(prompt="red", size="64x64", extra_body={"steps": 1})
    assert answer.data[0].b64_json
    assert answer.model_dump()["notes"][0].startswith("drawn plainly")


def test_models(studio):
    assert "embedded" in [model.id for model in client(studio).models.list()]


def test_errors_are_its_own(studio):
    with pytest.raises(openai.NotFoundError) as error:
        client(studio).images.generate(model="dall-e-3", prompt="a lion")
    assert error.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as error:
        client(studio).images.generate(prompt="a lion", size="63x64")
    assert error.value.param in ("width", "size")


def test_the_token_is_the_key(guarded_studio):
    assert client(guarded_studio, TOKEN).models.list().data
    with pytest.raises(openai.AuthenticationError):
        client(guarded_studio, "sk-wrong-0123456789").models.list()
