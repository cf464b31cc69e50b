"""A studio, and its OpenAPI document, by which every answer is checked."""

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest
import requests

sys.path.append(str(Path(__file__).resolve().parents[1]))
from served import ae, serving, studio  # noqa: E402,F401: fixtures

TOKEN = "not-to-be-guessed-0123"


@pytest.fixture(scope="session")
def guarded_studio(ae, tmp_path_factory):
    """The address of a studio that asks for `TOKEN`."""
    with serving(ae, tmp_path_factory.mktemp("guarded"), "--token", TOKEN) as address:
        yield address.split("/?")[0]


class Documented:
    """The OpenAPI document, and what was checked by it."""

    def __init__(self, url):
        self.document = requests.get(f"{url}/api/openapi.json", timeout=20).json()
        self.checked = set()

    def check(self, response):
        """That an answer is as the document says."""
        path, method = urlsplit(response.url).path, response.request.method.lower()
        template = next((known for known in self.document["paths"] if matches(known, path)), None)
        if template is None:
            assert response.status_code == 404, f"{method} {path} is in no document"
            return
        operation = self.document["paths"][template].get(method)
        if operation is None:
            assert response.status_code == 405, f"{method} {path} is in no document"
            return
        status = str(response.status_code)
        answers = operation["responses"]
        known = answers.get(status) or answers.get(f"{status[0]}XX")
        assert known is not None, f"{method} {path}: {status} is in no document: {response.text[:200]}"
        for kind, content in known.get("content", {}).items():
            if kind == "application/json" and "schema" in content:
                schema = {**content["schema"], "components": self.document["components"]}
                jsonschema.Draft202012Validator(schema).validate(response.json())
        self.checked.add((method, template))


def matches(template, path):
    pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, path) is not None


@pytest.fixture(scope="session")
def documented(studio):
    return Documented(studio)


@pytest.fixture
def session(documented):
    """Requests whose every answer is checked."""
    session = requests.Session()
    session.hooks["response"].append(lambda response, **_: documented.check(response))
    return session


@pytest.fixture
def send(session, studio):
    """Sends JSON as a program of another language does; gives the answer."""

    def send(method, path, body=None, **headers):
        return session.request(method, studio + path, json=body, headers=headers, timeout=120)

    return send
