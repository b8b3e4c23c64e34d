"""The reference of feeds is that of the code, and complete."""

import pytest

from purchase_pipeline import feeds
from purchase_pipeline_tests.feeds_reference import BEGIN, CHAPTERS, END, PAGE, attributes_of, markdown
from purchase_pipeline_tests.marked_section import with_section

CLASSES = [name for names in CHAPTERS.values() for name in names]


def test_the_page_shows_the_attributes_of_the_code() -> None:
    page = PAGE.read_text()

    assert with_section(page, BEGIN, END, markdown()) == page, (
        "run python -m purchase_pipeline_tests.feeds_reference"
    )


def test_every_class_of_feeds_is_in_the_reference() -> None:
    assert sorted(CLASSES) == sorted(feeds.__all__)


@pytest.mark.parametrize("name", CLASSES)
def test_every_attribute_is_described(name: str) -> None:
    assert [field for field, (_, _, text) in attributes_of(name).items() if not text] == []
