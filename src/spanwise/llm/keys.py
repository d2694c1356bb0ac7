"""Which key a server gets: a vendor's own variable is read for the vendor's own address alone.

Any other server gets the key in the variable that the user named for it, and nothing else of the environment. The
vendors' packages would add more by themselves (OPENAI_ORG_ID, ANTHROPIC_CUSTOM_HEADERS, ...), and take the address from
there: clients are made here only.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from spanwise.core import ConfigError

if TYPE_CHECKING:
    import anthropic
    import openai

NO_KEY = "none"
"""What the vendors' packages send where there is no key; servers of one's own take any."""


@dataclass(frozen=True)
class Vendor:
    """A service with an address and a usual environment variable of its own."""

    address: str
    variable: str

    def owns(self, address: str) -> bool:
        """Whether `address` is the vendor's: by https, at its host."""
        return urlsplit(address)[:2] == urlsplit(self.address)[:2]


OPENAI = Vendor("https://api.openai.com/v1", "OPENAI_API_KEY")
ANTHROPIC = Vendor("https://api.anthropic.com", "ANTHROPIC_API_KEY")


def key_for(vendor: Vendor, address: str | None, variable: str | None) -> str | None:
    """The key for the server at `address` (None is the vendor's), None where the user named no `variable` for it.

    Raises ConfigError when the variable is not set.
    """
    address = address or vendor.address
    if variable is None and not vendor.owns(address):
        return None
    variable = variable or vendor.variable
    key = os.environ.get(variable)
    if not key:
        raise ConfigError(f"The environment variable {variable} is not set; set it to the key for {address}.")
    return key


def openai_client(address: str | None, variable: str | None, *, timeout_s: float, retries: int) -> "openai.OpenAI":
    """A client that sends what `key_for` says; raises ConfigError like it."""
    import openai  # noqa: PLC0415 - an extra

    client = openai.OpenAI(
        api_key=key_for(OPENAI, address, variable) or NO_KEY,
        base_url=address or OPENAI.address,
        timeout=timeout_s,
        max_retries=retries,
    )
    if address is not None and not OPENAI.owns(address):
        client.organization = client.project = None
        _without_headers_of_environment(client)
    return client


def anthropic_client(
    address: str | None, variable: str | None, *, timeout_s: float, retries: int
) -> "anthropic.Anthropic":
    """A client that sends what `key_for` says; raises ConfigError like it."""
    import anthropic  # noqa: PLC0415 - an extra

    client = anthropic.Anthropic(
        api_key=key_for(ANTHROPIC, address, variable) or NO_KEY,
        base_url=address or ANTHROPIC.address,
        timeout=timeout_s,
        max_retries=retries,
    )
    if address is not None and not ANTHROPIC.owns(address):
        _without_headers_of_environment(client)
    return client


def _without_headers_of_environment(client: Any) -> None:
    """Takes *_CUSTOM_HEADERS back: the packages offer no way to leave them unread."""
    client._custom_headers = {}
