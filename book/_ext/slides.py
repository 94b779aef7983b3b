"""The lecture: `slides/index.html`, made of `book/slides/lecture.md` and of what this build found.

The source is Markdown as reveal.js has it: `---` begins a slide, `--` one below it, `Note:` what
the speaker sees. To the right lies the path of 45 minutes, below it what 90 minutes add. What
could be otherwise is put in by `{{ }}`: `figure NAME`, `answer CHAPTER`, `claim KEY`, `exercise
LABEL`, `hero`, `verdicts`. All that a deck loads lies beside it: reveal.js and its notes come from
an installed package, MathJax and figures from the book.
"""

from __future__ import annotations

import ast
import html
import json
import re
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import front
from after_pages import after_pages
from bs4 import BeautifulSoup, Tag
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from sphinx.application import Sphinx

from companion.errors import InputError
from companion.evidence.chips import chip

SOURCE = "book/slides/lecture.md"
REVEAL = (
    "LICENSE",
    "dist/reset.css",
    "dist/reveal.css",
    "dist/reveal.js",
    "dist/theme/black.css",
    "dist/theme/white.css",
    "dist/theme/fonts/source-sans-pro",
    "plugin/math/math.js",
    "plugin/notes/notes.js",
)
ASKED = re.compile(r"\{\{ *(\w+) *([\w-]*) *\}\}")
ANSWER = "application/papermill.record/text/plain"


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    after_pages(app, _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Sphinx) -> None:
    folder = Path(app.outdir) / "slides"
    package = Path(str(files("sphinx_revealjs"))) / "_static" / "revealjs"
    for name in REVEAL:
        target = folder / "reveal" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (package / name).is_dir() else shutil.copy2
        copy(package / name, target)
    told = deck((Path(app.srcdir) / SOURCE).read_text("utf-8"), Found(app).put_in)
    page = Path(__file__).with_name("slides.html").read_text("utf-8")
    (folder / "index.html").write_text(page.replace("<!-- slides -->", told), "utf-8")


def deck(source: str, put_in: Callable[[str, str], str]) -> str:
    """The slides as HTML.

    Parameters
    ----------
    source : str
        Slides in Markdown.
    put_in : callable
        Given a word and a name as they stand in `{{ }}`, what stands there, as HTML.
    """
    columns = (re.split(r"(?m)^--$", column) for column in re.split(r"(?m)^---$", source))
    return "\n".join(
        f"<section>{''.join(_slide(one, put_in) for one in column)}</section>" for column in columns
    )


def _slide(source: str, put_in: Callable[[str, str], str]) -> str:
    shown, noted, notes = source.partition("\nNote:")
    if not noted:
        raise InputError(f"a slide has no note for its speaker: {source.strip().splitlines()[0]}")
    write = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, renderer=_math).render
    filled = ASKED.sub(lambda found: put_in(*found.groups()), write(shown))
    return f'<section>{filled}<aside class="notes">{write(notes)}</aside></section>'


def _math(content: str, options: dict[str, bool]) -> str:
    left, right = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
    return f"{left}{html.escape(content)}{right}"


class Found:
    """What a build of the book found, as a slide shows it: each method is a word of a deck."""

    def __init__(self, app: Sphinx) -> None:
        self.app = app
        self.ledger = front.ledger_rows(Path(app.srcdir))

    def put_in(self, word: str, name: str) -> str:
        """The HTML that stands for `{{ word name }}`."""
        told = getattr(self, word, None) if word in WORDS else None
        if told is None:
            raise InputError(f"a slide asks for {word!r}: use one of {', '.join(WORDS)}")
        return told(name)

    def hero(self, name: str) -> str:
        """The home page's picture."""
        alt = "Depth exponents of several sources with intervals, beside what counts as about one."
        return self._picture(f"../{front.SVG}", alt, "book/intro")

    def figure(self, name: str) -> str:
        """A figure of a chapter, with the way to it."""
        page, found = self._part(name)
        image = found.select_one("img")
        file = f"{page.rpartition('/')[0]}/{image['src']}"
        return self._picture(f"../{file}", image["alt"], page, f"#{name}")

    def answer(self, name: str) -> str:
        """A chapter's answer to its question."""
        path = Path(self.app.srcdir) / "book" / f"{name}.ipynb"
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            for output in cell.get("outputs", ()):
                if output.get("metadata", {}).get("scrapbook", {}).get("name") == "answer":
                    return html.escape(ast.literal_eval("".join(output["data"][ANSWER])))
        raise InputError(f"a slide asks for the answer of {name!r}, which has none")

    def claim(self, name: str) -> str:
        """The home page's sentence on a claim, with its number and its verdict."""
        return front.sentence(self.ledger[name]).replace('href="', 'href="../book/')

    def verdicts(self, name: str) -> str:
        """How many of the paper's claims met which verdict."""
        judged = [row["verdict"] for row in self.ledger.values() if row["whose"] == "paper"]
        return "".join(
            f"<p>{chip(one, f'{judged.count(one)} {one}')}</p>" for one in dict.fromkeys(judged)
        )

    def exercise(self, name: str) -> str:
        """The text of an exercise, with the way to its solution."""
        page, found = self._part(name)
        told = re.sub("</?a[^>]*>", "", found.select_one("section").decode_contents())
        return f'{told}<p class="source"><a href="../{page}.html#{name}">Its solution</a></p>'

    def _part(self, name: str) -> tuple[str, Tag]:
        """The page on which a labelled part stands, and the part as the page shows it."""
        labels = self.app.env.get_domain("std").anonlabels
        if name not in labels:
            raise InputError(f"a slide asks for {name!r}, which no chapter has")
        page = labels[name][0]
        read = BeautifulSoup((Path(self.app.outdir) / f"{page}.html").read_bytes(), "html.parser")
        return page, read.select_one(f"[id='{name}']")

    def _picture(self, file: str, alt: str, page: str, place: str = "") -> str:
        title = html.escape(self.app.env.titles[page].astext())
        link = f'<a href="../{page}.html{place}">{title}</a>'
        return f'<img src="{file}" alt="{html.escape(alt)}"><span class="source">{link}</span>'


WORDS = ("hero", "figure", "answer", "claim", "verdicts", "exercise")
