"""The interface of sources: the partition requested, and the pages that a source hands over."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from string import Formatter
from typing import Any, Protocol
from urllib.parse import quote

from purchase_pipeline import PipelineError
from purchase_pipeline.ingest.formats import RowFormat
from purchase_pipeline.ingest.landing.manifest import LandedPage


class TemplateError(PipelineError):
    """A template of a source names an unknown variable, or formats one wrongly."""


def names_in(template: Any) -> set[str]:  # noqa: ANN401  (a structure of texts)
    """Return the variables that a template, or a structure of templates, names: `start` in `{start:%Y}`.

    Raises:
        TemplateError: a template is malformed.
    """
    if isinstance(template, str):
        try:
            return {re.split(r"[.\[]", name)[0] for _, name, _, _ in Formatter().parse(template) if name}
        except ValueError as error:
            raise TemplateError(f"Malformed template {template!r}: {error}.") from error
    values = template.values() if isinstance(template, Mapping) else template
    return set().union(*map(names_in, values)) if isinstance(template, Mapping | Sequence) else set()


@dataclass(frozen=True)
class PartitionRequest:
    """A partition to be fetched.

    Attributes:
        key: the partition's key; "" for a feed without partitions.
        variables: values for templates, besides `partition_key`: start, end, last, dimensions, ...
    """

    key: str
    variables: Mapping[str, Any] = field(default_factory=dict)

    def expand(self, template: str, *, escape: Callable[[str], str] = str) -> str:
        """Return a template with its variables filled in: `{partition_key}`, `{start:%d/%m/%Y}`.

        Args:
            template: as for `str.format`.
            escape: applied to each value.

        Raises:
            TemplateError: unknown variable, or wrong format.
        """
        try:
            return _Filler(escape).vformat(template, (), self._known)
        except _UnknownError as error:
            raise TemplateError(
                f"Unknown variable {{{error}}} in {template!r}.",
                hint=f"Known: {', '.join(sorted(self._known))}.",
            ) from error
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise TemplateError(f"Cannot fill in the template {template!r}: {error}.") from error

    def expand_all(self, template: Any) -> Any:  # noqa: ANN401
        """Return a structure of lists and mappings with all its texts expanded.

        A member of a mapping is left out if it is a text that names a variable that is None: `{since}` in the first
        request of all.
        """
        if isinstance(template, str):
            return self.expand(template)
        if isinstance(template, Mapping):
            return {
                name: self.expand_all(value) for name, value in template.items() if not self._is_absent(value)
            }
        if isinstance(template, Sequence):
            return [self.expand_all(value) for value in template]
        return template

    def expand_path(self, template: str) -> str:
        """Return a template of a URL's path with its variables filled in and escaped."""
        return self.expand(template, escape=lambda value: quote(value, safe=""))

    def with_variables(self, variables: Mapping[str, Any]) -> "PartitionRequest":
        """Return the request with more variables."""
        return PartitionRequest(self.key, {**self.variables, **variables})

    @property
    def _known(self) -> dict[str, Any]:
        return {"partition_key": self.key, **self.variables}

    def _is_absent(self, value: Any) -> bool:  # noqa: ANN401
        if not isinstance(value, str):
            return False
        names = [name for _, name, _, _ in Formatter().parse(value) if name]
        return any(name in self.variables and self.variables[name] is None for name in names)


class _UnknownError(LookupError):
    """An unknown variable."""


class _Filler(Formatter):
    def __init__(self, escape: Callable[[str], str]) -> None:
        self._escape = escape

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401, ARG002
        if key not in kwargs:
            raise _UnknownError(key)
        return kwargs[str(key)]

    def format_field(self, value: Any, format_spec: str) -> str:  # noqa: ANN401
        if isinstance(value, datetime) and not format_spec:
            return self._escape(value.isoformat())
        return self._escape(super().format_field(value, format_spec))


@dataclass(frozen=True)
class Page:
    """One received body.

    Attributes:
        format: how it is split into rows.
        chunks: its bytes; iterated once.
        variables: values that are known from the request only, for each row of the page.
        expected_rows: the number of rows that it must have, if known.
    """

    format: RowFormat
    chunks: Iterable[bytes]
    variables: Mapping[str, str] = field(default_factory=dict)
    expected_rows: int | None = None


AddPage = Callable[[Page], LandedPage]
"""Stores a page. If its chunks raise, nothing of it is kept and the error passes on, so that it can be retried.

Raises:
    UnreadableResponseError: the page is malformed, truncated, or has another number of rows.
"""


class Source(Protocol):
    """Where partitions come from. Built with the definitions; it opens nothing before `fetch`."""

    def fetch(self, request: PartitionRequest, add_page: AddPage) -> None:
        """Fetch a partition, page by page."""

    def expected_rows(self, request: PartitionRequest) -> int | None:
        """Return the number of rows that each page must have; None if it is not known before."""
