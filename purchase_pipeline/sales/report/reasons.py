"""Reasons of rejects in Portuguese. They are stored in English, as pydantic words them."""

import re

_PORTUGUESE = (
    ("Field required", "campo obrigatório"),
    ("Extra inputs are not permitted", "campo que não faz parte do contrato"),
    ("Input should be an object", "deve ser um objeto JSON"),
    ("Input should be a finite number", "deve ser um número finito"),
    ("Input should be a valid number", "deve ser um número"),
    ("Input should be a valid integer", "deve ser um número inteiro"),
    ("Input should be a valid string", "deve ser um texto"),
    ("Input should be a valid date or datetime(?:, (.*))?", "deve ser uma data válida"),
    ("Input should be greater than or equal to (.+)", r"deve ser maior ou igual a \1"),
    ("Input should be greater than (.+)", r"deve ser maior que \1"),
    ("Input should be less than or equal to (.+)", r"deve ser menor ou igual a \1"),
    ("Input should be less than (.+)", r"deve ser menor que \1"),
    (r"Decimal input should have no more than (\d+) digits in total", r"deve ter no máximo \1 dígitos"),
    (
        r"Decimal input should have no more than (\d+) decimal places?",
        r"deve ter no máximo \1 casas decimais",
    ),
    ("must not be later than (.+)", r"não pode ser depois de \1"),
    ("must be a date in the form YYYY-MM-DD", "deve ser uma data no formato AAAA-MM-DD"),
    (
        r"must be non-empty text of at most ([\d,]+) characters, without NUL",
        r"deve ser um texto não vazio, de no máximo \1 caracteres, sem NUL",
    ),
    ("Invalid JSON: (.*)", r"não é JSON válido: \1"),
    (r"\(the whole row\)", "(a linha inteira)"),
)

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")


def translated(reason: str, language: str) -> str:
    """Return a reason, `field: message`, in the language of the page; an unknown message as it is."""
    if language != "pt-BR":
        return reason
    field, separator, message = reason.partition(": ")
    known = message if separator and not reason.startswith("Invalid JSON") else reason
    for pattern, words in _PORTUGUESE:
        if found := re.fullmatch(pattern, known):
            said = _THOUSANDS.sub(".", found.expand(words))
            return said if known is reason else f"{field}: {said}"
    return reason
