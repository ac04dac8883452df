"""What a page's Content-Security-Policy allows of the page itself."""

import base64
import hashlib
import re


def inline_sources(page: str, tag: str) -> str:
    """The sources that allow a page's inline elements of a tag, by their SHA-256; `'none'` where it has none.

    https://www.w3.org/TR/CSP3

    Args:
        page: HTML.
        tag: `script` or `style`.
    """
    texts = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
