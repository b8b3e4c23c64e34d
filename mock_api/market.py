"""How often each choice occurs: where clients live, when and where they buy, what, and how they pay.

The populations are facts; the other numbers are plausible proportions, of which only the ratios matter.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

from mock_api.catalog import PAYMENT_TYPES, PRODUCTS, STORES

POPULATIONS = {
    "AC": 830_018,
    "AL": 3_127_683,
    "AM": 3_941_613,
    "AP": 733_759,
    "BA": 14_141_626,
    "CE": 8_794_957,
    "DF": 2_817_381,
    "ES": 3_833_712,
    "GO": 7_056_495,
    "MA": 6_776_699,
    "MG": 20_539_989,
    "MS": 2_757_013,
    "MT": 3_658_649,
    "PA": 8_120_131,
    "PB": 3_974_687,
    "PE": 9_058_931,
    "PI": 3_271_199,
    "PR": 11_444_380,
    "RJ": 16_055_174,
    "RN": 3_302_729,
    "RO": 1_581_196,
    "RR": 636_707,
    "RS": 10_882_965,
    "SC": 7_610_361,
    "SE": 2_210_004,
    "SP": 44_411_238,
    "TO": 1_511_460,
}
"""Residents of each state, by the code of the state: IBGE, Censo Demográfico 2022 (203,080,756 in all)."""

_MONTHS = (0.85, 0.85, 0.92, 0.93, 1.05, 1.00, 0.95, 1.00, 0.93, 1.00, 1.25, 1.60)
"""A day of each month, from January: Mother's Day in May, Black Friday in November, Christmas in December."""

_WEEKDAYS = (0.92, 0.90, 0.93, 0.98, 1.15, 1.30, 0.82)
"""From Monday."""

_BLACK_FRIDAY = 4.0

_UNITS_SOLD = {
    "Smartphone Android Pro X": 9,
    "Notebook Gamer G15": 3,
    "Smart TV QLED 65'": 4,
    "Fone Bluetooth Cancel. Ruído": 7,
    "Câmera Mirrorless Alpha Z": 1,
    "Mouse Gamer Óptico": 8,
    "Teclado Mecânico RGB TKL": 5,
    "Monitor Curvo Ultrawide 34'": 2,
    "Webcam Full HD com Microfone": 4,
    "HD Externo 2TB USB 3.0": 4,
    "Cafeteira Expresso Automática": 2,
    "Air Fryer Digital 5L": 8,
    "Robô Aspirador Inteligente": 3,
    "Conjunto de Panelas Antiaderente": 6,
    "Tênis Esportivo Performance": 10,
    "Relógio Smartwatch G8": 5,
    "Mochila Executiva Impermeável": 5,
    "Ebook Reader Tela Tinta Eletrônica": 3,
    "Escova de Dente Elétrica Sônica": 3,
    "Kit de Vitaminas e Suplementos": 8,
}

_PAYMENTS = {
    "Eletrônicos": (58, 6, 1, 12, 20, 3),
    "Acessórios": (46, 12, 3, 7, 30, 2),
    "Casa": (50, 12, 5, 9, 22, 2),
    "Moda": (42, 16, 8, 4, 29, 1),
    "Mídia": (48, 10, 4, 4, 33, 1),
    "Saúde": (26, 20, 14, 2, 37, 1),
}
"""Percentages of `PAYMENT_TYPES` by category: what is expensive is paid by card, in instalments."""

_STORE_SIZES = (20, 15, 12, 10, 9, 8, 7, 6, 5, 4, 3, 1)
"""Of `STORES`: the first one is the largest."""


def weighted_sales() -> Iterator[tuple[dict[str, Any], float]]:
    """Yield the fields of every possible sale, with its weight: payment type, store, product."""
    for product in PRODUCTS:
        for payment_type, percent in zip(PAYMENT_TYPES, _PAYMENTS[product.category], strict=True):
            for store, size in zip(STORES, _STORE_SIZES, strict=True):
                sale = {"payment_type": payment_type, "store": store, **product._asdict()}
                yield sale, _UNITS_SOLD[product.product] * percent * size


def day_weight(day: date) -> float:
    """Return how much is sold on a day, compared with an average one."""
    if _is_black_friday(day):
        return _BLACK_FRIDAY
    return _MONTHS[day.month - 1] * _WEEKDAYS[day.weekday()]


def _is_black_friday(day: date) -> bool:
    """Return whether a day follows the fourth Thursday of November."""
    return (day.month, day.weekday()) == (11, 4) and day.day in range(23, 30)
