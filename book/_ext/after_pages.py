"""What is written once the pages of the book are there."""

from __future__ import annotations

from collections.abc import Callable

from sphinx.application import Sphinx


def after_pages(app: Sphinx, write: Callable[[Sphinx], None]) -> None:
    """Call `write(app)` at the end of a build of HTML that did not fail."""

    def ended(app: Sphinx, failure: Exception | None) -> None:
        if not failure and app.builder.format == "html":
            write(app)

    app.connect("build-finished", ended)
