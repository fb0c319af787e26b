"""Secrets that the operator keeps. A skill never sees one: it puts a placeholder into a header of a request, and the host fills
it in on the way out, for the servers that the secret is bound to.
"""

from ringfence import _host


def exists(name: str) -> bool:
    """Whether this skill may use a secret of that name."""
    return _host.door().secrets_exists(name)


def placeholder(name: str) -> str:
    """What stands for the secret in a header: `{{secret:NAME}}`."""
    return "{{secret:" + name + "}}"


def bearer(name: str) -> str:
    """The value of an `Authorization` header with the secret as its bearer token."""
    return f"Bearer {placeholder(name)}"
