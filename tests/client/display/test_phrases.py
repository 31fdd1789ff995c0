"""The client's own sentences."""

from __future__ import annotations

import pytest

from charla import i18n
from charla.client.display.phrases import CLIENT_SENTENCES, sentence
from charla.protocol.sentences import SENTENCES


def test_a_usage_of_the_client_is_told_too() -> None:
    assert sentence("usage", ("r",)).endswith("/r TEXT")
    assert sentence("not-ignored", ("ana",)) == "'ana' is not ignored."
    i18n.use("es")
    assert sentence("usage", ("search",)).endswith("Se escribe así: /search PALABRAS")


def test_help_that_may_have_been_meant_is_named() -> None:
    assert sentence("no-help-on", ("tlak", "talk")).startswith(
        "There is no help on 'tlak'. Did you mean /help talk?"
    )
    assert sentence("no-help-on", ("x",)).startswith("There is no help on 'x'. There is help on these:")


def test_what_the_server_refuses_is_not_worded_again_here() -> None:
    assert not CLIENT_SENTENCES.keys() & SENTENCES.keys()
    assert sentence("called-now", ("ana", "eva")) == "'ana' is called eva now, so nothing was done."


@pytest.mark.parametrize("code", ["no-help-on", "not-ignored", "leaves", "of-a-later-version"])
def test_a_code_whose_arguments_are_missing_is_told_as_it_came(code: str) -> None:
    assert sentence(code) == code
