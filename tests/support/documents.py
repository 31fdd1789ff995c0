"""The documents, and what the tests read in them."""

from __future__ import annotations

import re

from support import ROOT

DOCUMENTS = {
    name: (ROOT / name).read_text()
    for name in (
        *("README.md", "docs/SECURITY.md", "docs/CHANGELOG.md"),
        *("docs/README.es.md", "docs/PROTOCOL.md", "docs/ARCHITECTURE.md"),
    )
}
PROTOCOL = DOCUMENTS["docs/PROTOCOL.md"]


def section(title: str, document: str = PROTOCOL) -> str:
    """Return what stands under a heading, up to the next one."""
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#+ |\Z)", document, re.DOTALL | re.MULTILINE)
    assert match is not None, f"there is no heading {title!r}"
    return match[2]


def first_column(text: str) -> list[str]:
    """Return the words in `` at the beginning of the rows of tables."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def anchors(document: str) -> set[str]:
    """Return what a link can point to, as the sites that show these documents make it."""
    titles = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```", "", document, flags=re.DOTALL | re.MULTILINE), re.M
    )
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
