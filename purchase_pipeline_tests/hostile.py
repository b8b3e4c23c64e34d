"""Texts that a row may hold, and that do something where they are shown as they are."""

FETCHED = "http://127.0.0.1:9/pixel"
"""What a viewer's browser asks for, if it renders what a row says. Nobody listens there; asking is the fault."""

FORGED = "✓ 9/9  lote-9999  all is well"
"""A line that a row adds to a terminal or a log."""

ACCEPTED = {
    "ESC": "red \x1b[31mred\x1b[2J",
    "BEL": "ring\x07ring",
    "OSC 52, into the clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "C1, an ESC of one byte": "\x9b31mred\x9d52;c;eA==\x9c",
    "CR and LF": f"end\r\n{FORGED}\n",
    "line ends of Unicode": f"end\u2028{FORGED}\u2029\x85{FORGED}",
    "a link of Markdown": "[x](javascript:alert(1))",
    "a picture of Markdown": f"![x]({FETCHED}-markdown)",
    "a picture of HTML": f"<img src={FETCHED}-html onerror=alert(1)>",
    "a bare link": f"www.example.com {FETCHED}-bare a@example.com",
    "cells": "| a | b |\\| c \\",
    "code": f"``` `` ` ![x]({FETCHED}-code)",
    "right to left": "\u202egnp.exe\u2066 \u200f\u200eabc\u2069",
    "a formula": "=cmd()|'/C calc'!A0",
    "a thousand characters": "x" * 1000,
    "a thousand emoji": "😀" * 1000,
    "emoji of several": "👨‍👩‍👧‍👦🇧🇷" * 90,
    "a word and an emoji": "Camiseta 😀",
    "markup of the terminal": "[red]x[/] [/nothing] :bug: [link=file:///etc]",
    "the end of a script": "</script></text><script>alert(1)</script>",
    "no character": "\ufffe\uffff\U0001fffe\ufdd0",
    "tags that nobody sees": "a\U000e0061\U000e0062",
    "a template": "{{ 7*7 }} {best} %s ${x}",
}
"""What the contract accepts as a text: it is stored exactly."""

HOSTILE = ACCEPTED | {"NUL": "a\x00b", "half a pair": "a\ud800b"}
