"""How large texts are to models."""


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has, on the safe side for English and for scripts whose characters are tokens of their own.

    Budgets need an estimate before the call; what a call really used is in the answer's usage.
    """
    plain = len(text) if text.isascii() else sum(map(str.isascii, text))
    return -(-plain // 4) + len(text) - plain
