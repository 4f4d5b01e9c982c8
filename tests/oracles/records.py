"""Documents of a file, slowly: all of it decoded, character after character."""

from __future__ import annotations

import json


def lines(content: bytes) -> list[str]:
    """Lines of plain text: a line feed, a carriage return or both end one; the last needs no end."""
    text = content.decode("utf-8-sig")
    found, line, open_line = [], "", False
    for number, character in enumerate(text):
        if character == "\n" and number > 0 and text[number - 1] == "\r":
            continue  # the second half of an end
        open_line = character not in "\r\n"
        if open_line:
            line += character
        else:
            found.append(line)
            line = ""
    return [*found, line] if open_line else found


def objects(content: bytes, field: str = "text") -> list[str]:
    """Fields of the objects of JSON Lines; lines of white space are none."""
    return [json.loads(line)[field] for line in lines(content) if any(character not in " \t" for character in line)]
