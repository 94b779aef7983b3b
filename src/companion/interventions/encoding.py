"""A fact in a model's tokens: where the subject lies, and which tokens the target is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from companion.errors import InputError
from companion.interventions.facts import Fact


@dataclass(frozen=True)
class Encoded:
    """Tokens of prompt and target.

    `prompt` and `target` are token ids, `subject` the positions of the subject in the prompt,
    `texts` the prompt's tokens as text.
    """

    prompt: tuple[int, ...]
    target: tuple[int, ...]
    subject: range
    texts: tuple[str, ...]

    @property
    def ids(self) -> list[int]:
        """What the model reads: the prompt, then the target but for its last token."""
        return [*self.prompt, *self.target[:-1]]

    @property
    def roles(self) -> list[str]:
        """What each prompt token is, see `ROLES`; the last token is "last" whatever else it is."""
        roles = ["before"] * self.subject.start + ["subject"] * len(self.subject)
        roles[-1] = "end of subject"
        roles += ["after"] * (len(self.prompt) - len(roles))
        roles[-1] = "last"
        return roles


ROLES = ("before", "subject", "end of subject", "after", "last")


def encode(fact: Fact, tokenizer: Any) -> Encoded:
    """Tokenize prompt and target together, as the model would see them in a text.

    Raises
    ------
    InputError
        If the tokenizer cannot tell where its tokens lie, or one token spans the end of the
        prompt and the start of the target.
    """
    if tokenizer is None or not tokenizer.is_fast:
        raise InputError(
            "tracing needs a model with a fast tokenizer, which tells where tokens lie"
        )
    cut = len(fact.text)
    read = tokenizer(fact.text + fact.target, return_offsets_mapping=True)
    places = [(start, end) for start, end in read["offset_mapping"]]
    if any(start < cut < end for start, end in places):
        raise InputError(
            f"one token spans the end of {fact.text!r} and the start of {fact.target!r}: "
            "move the boundary"
        )
    target = [i for i, (start, end) in enumerate(places) if end > start >= cut]
    first, (begin, stop) = target[0], fact.span
    subject = [i for i, (start, end) in enumerate(places) if start < stop and end > begin]
    ids = read["input_ids"]
    return Encoded(
        prompt=tuple(ids[:first]),
        target=tuple(ids[i] for i in target),
        subject=range(subject[0], subject[-1] + 1),
        texts=tuple(tokenizer.decode([i]) for i in ids[:first]),
    )
