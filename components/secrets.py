"""Secrets stay out of whatever is shown or written: passwords in URIs, and keys that the environment holds."""

import os
import re

_USER_INFO = re.compile(r"(?<=://)[^\s/@'\"<>()\[\]{}]+@")
_SECRET_VARIABLE = re.compile(r"(_|^)(KEY|TOKEN|PASSWORD|PASSWD|SECRET)$")
_SHORTEST = 8  # a shorter value is no secret worth the name, and would blot out words


def without_secrets(text: str) -> str:
    """`text` with `***` for the user and password of every URI in it, and for the values of secret variables.

    A variable is secret by its name: it ends in KEY, TOKEN, PASSWORD, PASSWD or SECRET, such as OPENAI_API_KEY.
    """
    if "@" in text:
        text = _USER_INFO.sub("***@", text)
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and value in text and _SECRET_VARIABLE.search(name.upper()):
            text = text.replace(value, "***")
    return text
