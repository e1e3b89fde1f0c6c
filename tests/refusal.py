"""What every refusal must be: one sentence."""

import pytest

from flatvae.errors import InputError


def refused(call, *arguments, **options) -> str:
    """The one sentence with which a call is refused."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence
