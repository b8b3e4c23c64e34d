"""The picture in both READMEs is the code's own asset graph."""

import itertools
import re
from collections import defaultdict
from pathlib import Path

import pytest

from purchase_pipeline.definitions import defs
from purchase_pipeline.sales.marts import MARTS
from purchase_pipeline_tests.documents import READMES, blocks_of, name_of

pytestmark = pytest.mark.source  # this project's files, whatever the Python

_MARTS = {mart.table.name: "sales_marts" for mart in MARTS}
"""All marts are one box."""

_SHAPE = re.compile(r"[\[({]+\"?.*?\"?[\])}]+")
_DATA_FLOWS = re.compile(r" *(?:-- *\"[^\"]*\" *)?--> *")


def arrows_of(readme: Path) -> dict[str, set[str]]:
    """Return the arrows that data takes, box by box; dotted lines are what is known, or asked for."""
    (picture,) = (block.text for block in blocks_of(readme) if block.language == "mermaid")
    arrows = defaultdict[str, set[str]](set)
    for line in picture.splitlines()[1:]:
        boxes = [box.strip() for box in _DATA_FLOWS.split(_SHAPE.sub("", line))]
        for box, following in itertools.pairwise(boxes):
            arrows[box].add(following)
    return arrows


def assets_after(box: str, arrows: dict[str, set[str]], assets: set[str]) -> set[str]:
    """Return the assets that a box leads to; what is no asset is passed through."""
    found = set[str]()
    for following in arrows.get(box, set()):
        found |= {following} if following in assets else assets_after(following, arrows, assets)
    return found


@pytest.mark.parametrize("readme", READMES, ids=name_of)
def test_the_picture_is_the_asset_graph(readme: Path) -> None:
    specs = defs().resolve_all_asset_specs()
    assets = {_MARTS.get(name := spec.key.to_user_string(), name) for spec in specs}
    graph = {
        (_MARTS.get(before := dep.asset_key.to_user_string(), before), _MARTS.get(after, after))
        for spec in specs
        for dep in spec.deps
        for after in [spec.key.to_user_string()]
    }

    arrows = arrows_of(readme)
    drawn = {(asset, after) for asset in assets for after in assets_after(asset, arrows, assets)}

    assert drawn == graph
    assert f"{len(MARTS)} " in readme.read_text()
