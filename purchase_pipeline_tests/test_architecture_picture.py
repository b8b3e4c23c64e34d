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

_SALES = "sales"
"""The group whose assets are one box."""

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
    specs = list(defs().resolve_all_asset_specs())
    boxes = {spec.key: _SALES if spec.group_name == _SALES else spec.key.to_user_string() for spec in specs}
    graph = {(boxes[dep.asset_key], boxes[spec.key]) for spec in specs for dep in spec.deps} - {
        (_SALES, _SALES)
    }

    arrows = arrows_of(readme)
    assets = set(boxes.values())
    drawn = {(asset, after) for asset in assets for after in assets_after(asset, arrows, assets)}

    assert drawn == graph
    assert f"{len(MARTS)} marts" in readme.read_text()
