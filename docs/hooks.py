"""What the site does to pages as MkDocs builds them: formulas become MathML, names of the API become links."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
NAME = re.compile(r"<code>(coremax(?:\.\w+)+)(\([^<]*\))?</code>(?!</a>)")


def on_page_content(content: str, **_: Any) -> str:
    """Replace formulas and names in the HTML of a page; names that nothing documents are left as they are."""
    content = FORMULA.sub(_mathml, content)
    return NAME.sub(r'<autoref optional identifier="\1"><code>\1\2</code></autoref>', content)


def _mathml(match: re.Match[str]) -> str:
    block = match[1] == "div"
    formula = convert(html.unescape(match[2]).strip(), display="block" if block else "inline")
    return f'<div class="formula">{formula}</div>' if block else formula
