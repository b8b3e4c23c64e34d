"""The data quality section: rows received, loaded and rejected, reasons, reconciliation, freshness."""

from collections.abc import Sequence
from typing import NamedTuple

from purchase_pipeline.ingest.ledger import totals
from purchase_pipeline.sales.report.exhibit import Cell, Numbers, count, numbers, percent, ratio
from purchase_pipeline.sales.report.figures import SalesFigures
from purchase_pipeline.sales.report.reasons import translated
from purchase_pipeline.sales.report.texts import Texts


class Fact(NamedTuple):
    """A number with its name; `detail` gives the exact value, `course` the points of a small line."""

    key: str
    name: str
    value: str
    detail: str = ""
    change: str = ""
    course: str = ""


class Statement(NamedTuple):
    """A sentence that passes or fails; if it fails, `named` lists the cases."""

    good: bool
    sentence: str
    named: Sequence[str] = ()


class Quality(NamedTuple):
    """The content of the section."""

    facts: Sequence[Fact]
    statements: Sequence[Statement]
    freshness: str
    reasons: Numbers | None
    lots: Numbers


def quality(figures: SalesFigures, texts: Texts) -> Quality:
    """Build the section from the figures."""
    return Quality(
        _facts(figures, texts),
        [_reconciliation(figures, texts), _coverage(figures, texts)],
        _freshness(figures, texts),
        _reasons(figures, texts) if figures.rejects else None,
        _lots(figures, texts),
    )


def _facts(figures: SalesFigures, texts: Texts) -> list[Fact]:
    words, formats = texts.quality, texts.formats
    received, loaded, rejected = totals(figures.lots)
    return [
        Fact("lots", words.lots, formats.number(len(figures.lots))),
        Fact("received", words.received, formats.number(received)),
        Fact("loaded", words.loaded, formats.number(loaded)),
        Fact("rejected", words.rejected, formats.number(rejected)),
        Fact("rate", words.rate, formats.percent(ratio(rejected, received), 2)),
    ]


def _reconciliation(figures: SalesFigures, texts: Texts) -> Statement:
    words, number = texts.quality, texts.formats.number
    lots = number(len(figures.lots))
    violators = [lot for lot in figures.lots if not lot.balanced]
    if not violators:
        return Statement(good=True, sentence=words.conserved.format(lots=lots))
    named = [
        words.violator.format(
            lot=lot.key,
            received=number(lot.received),
            loaded=number(lot.loaded),
            rejected=number(lot.rejected),
        )
        for lot in violators
    ]
    return Statement(
        good=False, sentence=words.violated.format(count=number(len(violators)), lots=lots), named=named
    )


def _coverage(figures: SalesFigures, texts: Texts) -> Statement:
    words, loaded = texts.quality, totals(figures.lots).loaded
    covered = loaded == figures.purchases
    sentence = words.covered if covered else words.uncovered
    number = texts.formats.number
    return Statement(covered, sentence.format(purchases=number(figures.purchases), loaded=number(loaded)))


def _freshness(figures: SalesFigures, texts: Texts) -> str:
    newest = figures.newest_commit
    return texts.quality.freshness.format(moment=texts.formats.moment(newest)) if newest else ""


def _reasons(figures: SalesFigures, texts: Texts) -> Numbers:
    words = texts.quality
    cells = [
        (
            Cell(translated(group.what, texts.code)),
            count(texts, group.rows),
            count(texts, group.partitions),
            Cell(group.example),
        )
        for group in figures.rejects
    ]
    headers = (words.reason, words.rows, words.in_lots, words.example)
    return numbers(texts, headers, cells)._replace(words_language=texts.code)


def _lots(figures: SalesFigures, texts: Texts) -> Numbers:
    words = texts.quality
    cells = [
        (
            Cell(lot.key),
            count(texts, lot.received),
            count(texts, lot.loaded),
            count(texts, lot.rejected),
            percent(texts, ratio(lot.rejected, lot.received), 2),
            Cell(words.yes if lot.balanced else words.no),
        )
        for lot in figures.lots
    ]
    headers = (words.lot, words.received, words.loaded, words.rejected, words.rate, words.adds_up)
    return numbers(texts, headers, cells)
