"""The address and the key of an endpoint, and keeping that key out of every text."""

from __future__ import annotations

import json
import os
import re
import urllib.parse
from dataclasses import dataclass, field

from critic_engine.config.models import EndpointConfig
from critic_engine.errors import ModelLoadError

_NO_KEY = "none"
_MAX_QUOTE = 300
_CREDENTIALS = (
    re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+"),
    re.compile(r"(?i)\b((?:proxy-)?authorization|api-key|x-api-key)\b[\"']?\s*[:=]\s*[^\s,;}]+"),
    # OpenAI quotes a wrong key back with only its middle blackened.
    re.compile(r"\b(sk)-[\w*-]{4,}"),
)


@dataclass(frozen=True, slots=True)
class EndpointKey:
    """The key of an endpoint, which no text shows."""

    value: str = field(repr=False)
    """The key as it is sent; a placeholder where there is none."""
    variable: str
    """The environment variable that holds it."""

    def scrub(self, text: str) -> str:
        """Return ``text`` on one line, without the key or any other credentials, cut to 300 characters."""
        if self.value != _NO_KEY:
            forms = {self.value, json.dumps(self.value)[1:-1], urllib.parse.quote(self.value, safe="")}
            for form in sorted(forms, key=len, reverse=True):
                text = text.replace(form, "***")
        for credentials in _CREDENTIALS:
            text = credentials.sub(r"\1 ***", text)
        # Only now: a cut made first could leave half a key, which no pattern would recognise.
        text = " ".join(text.split())
        return text if len(text) <= _MAX_QUOTE else f"{text[:_MAX_QUOTE]}…"


def read_key(options: EndpointConfig) -> EndpointKey:
    """Return the key that the environment holds; a placeholder where an address is given and no key.

    Raises:
        ModelLoadError: there is none and OpenAI itself is asked, or it cannot be sent.
    """
    variable = options.api_key_variable
    key = os.environ.get(variable, "").strip()
    if not key and endpoint_url(options) is None:
        raise ModelLoadError(
            f"the environment variable {variable} holds no key for OpenAI; set it, or name an endpoint of your own in "
            "openai_api.base_url"
        )
    if not all("!" <= character <= "~" for character in key):
        raise ModelLoadError(f"the key in {variable} holds characters that no key has; set it to the key alone")
    return EndpointKey(key or _NO_KEY, variable)


def endpoint_url(options: EndpointConfig) -> str | None:
    """Return the address of the endpoint; None for OpenAI's own.

    Raises:
        ModelLoadError: it is no address, or holds a password or a query.
    """
    url = options.base_url or os.environ.get("OPENAI_BASE_URL") or None
    if url is None:
        return None
    try:
        parts = urllib.parse.urlsplit(url)
        has_credentials = "@" in parts.netloc
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_credentials, is_address = "@" in url, False
    # The address itself is not quoted: what stands in it by mistake may be a secret.
    if has_credentials or parts.query or parts.fragment:
        raise ModelLoadError(
            "openai_api.base_url holds a user, a password, a query or a fragment; give the plain address, and the key "
            f"in the environment variable {options.api_key_variable}"
        )
    if not is_address:
        raise ModelLoadError("openai_api.base_url is no address; give one such as http://localhost:8000/v1")
    return url
