"""The sales report: its figures from a real database, and its page."""

import base64
import hashlib
import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from importlib.resources import files

import psycopg
import pytest
import sqlalchemy as sa
from faker.providers.address.pt_BR import Provider as AddressProvider

from purchase_pipeline.ingest.ledger import LoadedPartition
from purchase_pipeline.ingest.printable import printable
from purchase_pipeline.ingest.quarantine import RejectGroup
from purchase_pipeline.sales import tables
from purchase_pipeline.sales.report.brazil import TILES
from purchase_pipeline.sales.report.figures import (
    AgeBand,
    CustomerSales,
    DaySales,
    MonthSales,
    NamedSales,
    SalesFigures,
    TopBrand,
    TopProduct,
    read_sales_figures,
)
from purchase_pipeline.sales.report.formats import ENGLISH, PORTUGUESE
from purchase_pipeline.sales.report.page import render_report
from purchase_pipeline_tests.hostile import ACCEPTED
from purchase_pipeline_tests.sold import LOTS, REASON, Sale, a_sale, fill, some_sales

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
HOSTILE = "<script>a()</script> & \"b\" 'c' {{ d }} {e}"


def a_report(engine: sa.Engine, sales: Sequence[Sale]) -> str:
    fill(engine, sales)
    return render_report(read_sales_figures(engine), NOW)


class Read(HTMLParser):
    """Parses a page into its elements with attributes, and its texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements[-1:] and self.elements[-1][0] not in ("script", "style"):
            self.texts.append(data)


def spoken(page: str) -> str:
    """Return the texts of a page, with plain spaces."""
    return " ".join(" ".join(Read(page).texts).replace("\N{NO-BREAK SPACE}", " ").split())


def test_the_figures_are_the_marts_rows(engine: sa.Engine) -> None:
    fill(engine, [a_sale(0), a_sale(1), a_sale(2, store=1)])

    figures = read_sales_figures(engine)

    month = date(2025, 1, 1)
    at = figures.newest_commit
    assert at is not None
    assert Counter(row.cut for row in figures.by_month_and_store) == {
        "day": 3,
        "product": 3,
        "state": 3,
        "payment type": 2,
    }
    assert replace(figures, by_month_and_store=()) == SalesFigures(
        days=[
            DaySales(date(2025, 1, 20), 1, Decimal("100.50")),
            DaySales(date(2025, 1, 21), 1, Decimal("101.50")),
            DaySales(date(2025, 1, 22), 1, Decimal("102.50")),
        ],
        months=[
            MonthSales(date(2025, 1, 1), "Casa", 2, Decimal("203.00")),
            MonthSales(date(2025, 1, 1), "Moda", 1, Decimal("101.50")),
        ],
        states=[
            NamedSales("Amazonas", 1, Decimal("102.50")),
            NamedSales("Amapá", 1, Decimal("101.50")),
            NamedSales("Roraima", 1, Decimal("100.50")),
        ],
        stores=[NamedSales("1", 2, Decimal("203.00")), NamedSales("2", 1, Decimal("101.50"))],
        payments=[NamedSales("PIX", 2, Decimal("203.00")), NamedSales("Boleto", 1, Decimal("101.50"))],
        age_bands=[
            AgeBand("65+", 65, 3, 3, Decimal("304.50")),
        ],
        products=[
            TopProduct(1, "Produto 2", "Marca 2", "Casa", 1, Decimal("102.50")),
            TopProduct(2, "Produto 1", "Marca 1", "Moda", 1, Decimal("101.50")),
            TopProduct(3, "Produto 0", "Marca 0", "Casa", 1, Decimal("100.50")),
        ],
        brands=[
            TopBrand(1, "Marca 2", 1, Decimal("102.50")),
            TopBrand(2, "Marca 1", 1, Decimal("101.50")),
            TopBrand(3, "Marca 0", 1, Decimal("100.50")),
        ],
        customer_sales=[
            CustomerSales(
                month,
                1,
                "65+",
                65,
                returning=False,
                squares=Decimal("20606.5"),
                purchases=2,
                revenue=Decimal(203),
            ),
            CustomerSales(
                month,
                2,
                "65+",
                65,
                returning=False,
                squares=Decimal("10302.25"),
                purchases=1,
                revenue=Decimal("101.5"),
            ),
        ],
        lots=[
            LoadedPartition(LOTS[0], 1, 1, 0, figures.lots[0].committed_at, f"digest of {LOTS[0]}", "a run"),
            LoadedPartition(LOTS[1], 3, 2, 1, at, f"digest of {LOTS[1]}", "a run"),
        ],
        rejects=[RejectGroup(REASON, 1, 1, f"{LOTS[1]} linha 3")],
    )
    assert figures.period == (date(2025, 1, 20), date(2025, 1, 22))
    assert (figures.revenue, figures.purchases, figures.customers) == (Decimal("304.50"), 3, 3)


def test_the_marts_are_read_from_one_snapshot(engine: sa.Engine) -> None:
    fill(engine, some_sales())
    seen = set[tuple[str, ...]]()

    @sa.event.listens_for(engine, "after_cursor_execute")
    def _ask(
        _connection: object, cursor: psycopg.Cursor[tuple[str, str, str]], statement: str, *_: object
    ) -> None:
        if "revenue_by_" in statement or "top_" in statement:
            with cursor.connection.cursor() as another:
                another.execute(
                    "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only'), "
                    "now()::text"
                )
                seen.update(another.fetchall())

    read_sales_figures(engine)

    ((isolation, read_only, _began),) = seen
    assert (isolation, read_only) == ("repeatable read", "on")


@pytest.mark.parametrize("exist", [True, False])
def test_without_purchases_the_report_says_what_to_do(engine: sa.Engine, exist: bool) -> None:  # noqa: FBT001
    if exist:
        with engine.begin() as connection:
            for table in tables.REVENUE_BY_DAY.metadata.sorted_tables:
                table.create(connection)

    figures = read_sales_figures(engine)

    assert figures == SalesFigures(*[[]] * 12)
    page = spoken(render_report(figures, NOW))
    assert "Ainda não há compras. Execute purchase-pipeline up" in page
    assert "No purchases yet. Run purchase-pipeline up" in page
    assert "figure" not in [tag for tag, _ in Read(render_report(figures, NOW)).elements]


def test_the_page_is_one_file_that_runs_its_own_script_only(engine: sa.Engine) -> None:
    page = a_report(engine, some_sales())

    assert len(page.encode()) < 1_000_000
    assert not re.findall(r"https?:|//[a-z]|@import|url\(|<link|<iframe|\bsrc=|\bhref=|\bon\w+=", page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    metas = [attributes for tag, attributes in Read(page).elements if tag == "meta"]
    assert {
        "http-equiv": "Content-Security-Policy",
        "content": f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'",
    } in metas


def test_filters_that_would_make_the_file_too_large_are_left_out(engine: sa.Engine) -> None:
    fill(engine, some_sales())
    figures = read_sales_figures(engine)
    many = replace(figures, by_month_and_store=list(figures.by_month_and_store) * 1000)

    page = render_report(many, NOW)

    assert len(page.encode()) < 1_000_000
    assert "No filters: with so many stores, months and products" in spoken(page)
    assert "form" not in {tag for tag, _ in Read(page).elements}
    assert "form" in {tag for tag, _ in Read(render_report(figures, NOW)).elements}


def test_filters_that_javascript_cannot_add_exactly_are_left_out(engine: sa.Engine) -> None:
    page = a_report(engine, [a_sale(number, price=Decimal("9999999999.99")) for number in range(9010)])

    assert "form" not in {tag for tag, _ in Read(page).elements}
    assert "R$90,099,999,999,909.90" in spoken(page)


def test_both_languages_show_the_same_content(engine: sa.Engine) -> None:
    page = a_report(engine, some_sales(price=Decimal("1234.56")))

    assert "Compras de 20 de janeiro de 2025 a 18 de julho de 2025" in spoken(page)
    assert "Purchases from 20 January 2025 to 18 July 2025" in spoken(page)
    assert "R$ 444.441,60" in spoken(page)
    assert "R$444,441.60" in spoken(page)
    languages = [attributes["lang"] for tag, attributes in Read(page).elements if tag in ("html", "article")]
    assert languages == ["pt-BR", "pt-BR", "en"]


def test_every_chart_and_mark_is_described(engine: sa.Engine) -> None:
    elements = Read(a_report(engine, some_sales())).elements

    charts = [attributes for tag, attributes in elements if tag == "ol"]
    marks = [attributes for tag, attributes in elements if tag == "li" and "title" in attributes]
    assert len(charts) == 2 * (1 + 2 + 2 + 4 + 5)
    assert all(chart["aria-label"] for chart in charts)
    assert all("\n" in (mark["title"] or "") for mark in marks)


@pytest.mark.parametrize("field", ["product", "brand", "category", "state", "payment_type"])
@pytest.mark.parametrize(
    "hostile", [HOSTILE, "</script><script>a()</script>", "\u2028\u2029 ]]> <!-- --> \\"]
)
def test_hostile_text_stays_text(engine: sa.Engine, field: str, hostile: str) -> None:
    page = a_report(engine, some_sales(**{field: hostile}))

    read = Read(page)
    assert [tag for tag, _ in read.elements].count("script") == 2
    assert printable(hostile) in read.texts
    assert "<script>a" not in page
    (data,) = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert data.isascii()
    assert "<" not in data
    names = json.loads(data)["cuts"]["payment type" if field == "payment_type" else field_of_cut(field)][
        "names"
    ]
    assert printable(hostile) in itertools.chain.from_iterable(names)


def field_of_cut(field: str) -> str:
    return "state" if field == "state" else "product"


def test_every_valid_text_is_shown(engine: sa.Engine) -> None:
    named = [
        a_sale(number, **dict.fromkeys(("product", "brand", "category", "state", "payment_type"), text))
        for number, text in enumerate(ACCEPTED.values())
    ]

    page = a_report(engine, named)

    assert {printable(text) for text in ACCEPTED.values()} <= set(Read(page).texts)
    assert [mark for mark in page if not (mark.isprintable() or mark in "\n\xa0\u200c\u200d")] == []


def test_one_purchase_is_enough_for_a_report(engine: sa.Engine) -> None:
    fill(engine, [a_sale(0)])

    page = spoken(render_report(read_sales_figures(engine), NOW))

    assert "Average ticket R$100.50" in page
    assert "relative to its average" not in page


def test_an_incomplete_month_is_not_the_best(engine: sa.Engine) -> None:
    january = [a_sale(number, date_purchase=date(2025, 1, 20)) for number in range(2000)]
    march = [a_sale(number, date_purchase=date(2025, 3, 15)) for number in range(900)]

    page = spoken(a_report(engine, some_sales() + january + march))

    (best,) = re.findall(r"o melhor foi (\w+) de 2025", page)
    assert best == "março"


def test_no_difference_within_chance_is_stated(engine: sa.Engine) -> None:
    page = spoken(a_report(engine, some_sales()))

    assert "per day, the differences between months are within chance" in page
    assert "No category varies more than chance explains." in page
    assert not re.findall(r"o melhor|lidera|strongest|leads", page)


def test_one_price_does_not_make_a_best_month(engine: sa.Engine) -> None:
    once = [a_sale(0, date_purchase=date(2025, 3, 20), price=Decimal(90_000))]

    page = spoken(a_report(engine, some_sales() + once))

    assert "o melhor foi" not in page


def test_an_unbalanced_batch_is_named(engine: sa.Engine) -> None:
    fill(engine, some_sales())
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM tabela_compras WHERE lote = 'lote-0001' AND linha = 7"))

    page = spoken(render_report(read_sales_figures(engine), NOW))

    assert "A conta não fecha em 1 de 2 lotes. lote-0001: recebidas 180, carregadas 179, rejeitadas 0" in page
    assert (
        "Received differs from loaded + rejected in 1 of 2 batches. lote-0001: received 180, loaded 179, rejected 0"
        in page
    )
    assert "This report includes 360 purchases, but 359 are loaded: update it." in page


def test_balanced_data_is_reported_as_balanced(engine: sa.Engine) -> None:
    page = spoken(a_report(engine, some_sales()))

    assert "Recebidas = carregadas + rejeitadas em todos os lotes: 2 de 2." in page
    assert "This report includes all 360 loaded purchases." in page
    assert "price: deve ser maior que 0 1 1 lote-0002 linha 181" in page
    assert f"{REASON} 1 1 lote-0002 linha 181" in page
    assert "Taxa de rejeição 0,28%" in page
    assert re.search(r"The newest batch was loaded on \d+ \w+ 20\d\d, \d\d:\d\d UTC\.", page)
    assert "Report generated on 24 November 2026, 12:30 UTC." in page


def test_the_grid_has_the_27_states_of_brazil_in_distinct_positions(engine: sa.Engine) -> None:
    texts = Read(a_report(engine, some_sales())).texts

    assert {(tile.code, tile.name) for tile in TILES} == set(AddressProvider.estados)
    assert len(TILES) == len({tile.cell for tile in TILES}) == 27
    assert all(texts.count(tile.code) == 4 for tile in TILES)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def colours(scheme: str) -> dict[str, str]:
    """Return the colours of the style sheet in a scheme."""
    style = (files("purchase_pipeline.sales.report") / "page.css").read_text(encoding="utf-8")
    found = dict[str, str]()
    for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)[: 1 + (scheme == "dark")]:
        found |= dict(re.findall(r"--([\w-]+): (#\w{6})", block))
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(scheme: str) -> None:
    colour = colours(scheme)

    pairs = [(f"on-{step}", f"step-{step}") for step in range(5)]
    for ink, ground in [*pairs, ("ink", "paper"), ("muted", "paper"), ("accent", "paper"), ("bad", "paper")]:
        assert contrast(colour[ink], colour[ground]) >= 4.5, (ink, ground)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_higher_step_stands_out_more(scheme: str) -> None:
    colour = colours(scheme)

    prominence = [contrast(colour[f"step-{step}"], colour["paper"]) for step in range(5)]

    assert prominence == sorted(prominence)
    assert prominence[-1] > 5 * prominence[0]


@pytest.mark.parametrize(
    ("value", "portuguese", "english"),
    [
        (Decimal("1234.56"), "R$ 1,2 mil", "R$1.2K"),
        (Decimal(13400000), "R$ 13,4 mi", "R$13.4M"),
        (Decimal(2100000000), "R$ 2,1 bi", "R$2.1B"),
        (Decimal("7.5"), "R$ 7,50", "R$7.50"),
    ],
)
def test_amounts_are_formatted_for_each_language(value: Decimal, portuguese: str, english: str) -> None:
    assert PORTUGUESE.short_money(value).replace("\N{NO-BREAK SPACE}", " ") == portuguese
    assert ENGLISH.short_money(value) == english


def test_reading_the_figures_imports_no_library_of_the_page() -> None:
    heavy = "{'babel', 'jinja2', 'pandas'}"
    program = f"import sys, purchase_pipeline.sales.report.figures; print(sorted({heavy} & set(sys.modules)))"

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert printed.stdout.strip() == "[]"
