"""The table of behaviours: who has which, as `test_conformance` holds them to it.

`python -m purchase_pipeline_tests.conformance.report` prints it in Markdown.
"""

from collections.abc import Iterator

from purchase_pipeline_tests.conformance.behaviours import CHAPTERS
from purchase_pipeline_tests.test_conformance import DUCKDB_LACKS


def markdown() -> str:
    """Return the table."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "| Behaviour | PostgresIOManager | DuckDBPandasIOManager |"
    yield "|---|---|---|"
    for chapter, behaviours in CHAPTERS.items():
        yield f"| **{chapter}** | | |"
        for behaviour in behaviours:
            name = behaviour.__name__
            lack = DUCKDB_LACKS.get(name)
            yield f"| {name.replace('_', ' ').capitalize()} | yes | {f'no: {lack}' if lack else 'yes'} |"


if __name__ == "__main__":
    print(markdown())
