"""The book's own Sphinx extension, apart from a build."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import yaml

from companion.files import checkout

ROOT = checkout()
assert ROOT is not None
BUTTONS = {"binderhub_url": "https://mybinder.org"}


@pytest.fixture
def extension(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import companion_book

    yield companion_book
    del sys.modules["companion_book"]


@pytest.mark.parametrize("address", ["", "https://example.org/a/b"])
def test_launch_buttons_appear_once_the_address_is_set(extension, address):
    options = {"repository_url": address, "launch_buttons": BUTTONS}
    config = SimpleNamespace(html_theme_options=options, mathjax_path="")
    extension._configure(None, config)
    assert config.html_theme_options.get("launch_buttons") == (BUTTONS if address else None)
    assert config.mathjax_path == "mathjax/tex-svg-full.js"


def test_the_address_has_one_place_and_buttons_two_providers():
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    assert "url" in config["repository"]
    assert {"binderhub_url", "colab_url"} <= set(config["launch_buttons"])
    assert config["execute"]["execute_notebooks"] == "off"


def test_scripts_that_would_fetch_live_code_are_dropped(extension):
    body = SimpleNamespace(attributes={"body": 'const THEBE_JS_URL = "https://elsewhere"'})
    context = {"script_files": ["_static/doctools.js", "_static/sphinx-thebe.js", body]}
    extension._drop_live_code(None, "page", "page.html", context, None)
    assert context["script_files"] == ["_static/doctools.js"]


def test_lengths_in_docstrings_keep_their_bars(extension):
    lines = ["The length |x|.", "See ``a | b``."]
    extension._keep_bars(None, "function", "norm", None, None, lines)
    assert lines == [r"The length \|x\|.", "See ``a | b``."]


def test_the_picture_of_the_rooms_is_drawn_for_pages(extension):
    (drawn,) = extension.PackageRooms.run(None)
    assert drawn["format"] == "html"
    assert drawn.astext().startswith("<svg ")
