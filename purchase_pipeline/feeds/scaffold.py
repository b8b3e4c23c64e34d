"""The scaffolder of feeds in YAML: `dg scaffold defs purchase_pipeline.FeedComponent orders`."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

_FIRST_DAYS = timedelta(days=7)
_TEMPLATE = """\
type: {type_name}

requirements:
  env: [{variable}_API_URL]  # and each other variable below; set them in the project's file .env, or where Dagster runs

attributes:
  # Assets raw_{name}, {name} and {name}_rejected; job ingest_{name}; sensor missing_{name}.
  name: {name}

  # Columns and their types: text, integer, bigint, numeric(12,2), double precision, boolean, date, timestamp,
  # timestamptz, uuid, jsonb, date(%d/%m/%Y), decimal_comma(12,2), ... `?`: may be null or missing; `[]`: a list;
  # `text from customer.name`: another member. Other members of a row are ignored; a row that does not fit is kept in
  # {name}_rejected, with its reasons. Or validate with your own pydantic model: `contract: my_project.contracts.Order`.
  columns:
    id: text
    amount: numeric(12,2)
    created_at: timestamptz
    note: text?

  # Or hourly, weekly, monthly, time_window, static, dynamic, multi.
  partitions: {{type: daily, start_date: "{start_date}"}}

  source:
    url: {variable}_API_URL  # a URL, or the environment variable with it
    path: /{name}
    params: {{day: "{{partition_key}}"}}  # also {{start:%d/%m/%Y}}, {{end}}, {{last}}, each dimension of multi
    # token: {variable}_API_TOKEN  # variable with a bearer token
    # auth: {{api_key: {variable}_API_KEY, header: X-API-Key}}  # or bearer, basic, oauth2
    # rows: items  # path of the rows, if they are in a JSON object
    # pages: {{next: next}}  # or link, {{page: page}}, {{offset: skip, limit: 100}}, {{cursor: after, path: next}}
    # format: {{csv: ";"}}  # by default that of the Content-Type: a JSON array, NDJSON or CSV

  # max_rejected_ratio: 0.05  # a partition with more rejected rows is not loaded
"""


class FeedScaffolder(dg.Scaffolder[Any]):
    """Writes a feed with comments on what may be changed; it loads from an API whose URL is in the environment."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write `defs.yaml`, or add to the file."""
        if request.scaffold_format == "python":
            dg.scaffold_component(request)
            return
        if request.append:
            with request.target_path.open("a", encoding="utf-8") as file:
                file.write(f"---\n{scaffolded(request.type_name, request.target_path.parent.name)}")
            return
        text = scaffolded(request.type_name, request.target_path.name)
        (request.target_path / "defs.yaml").write_text(text, encoding="utf-8")


def scaffolded(type_name: str, folder: str, today: date | None = None) -> str:
    """Return the YAML of a feed that is named as its folder.

    Args:
        type_name: type of the component.
        folder: name of the folder.
        today: the first partition is a week before it; by default today in UTC.
    """
    name = re.sub(r"\W+", "_", folder).strip("_").lower()
    name = name if name[:1].isalpha() else f"feed_{name}"
    first = (today or datetime.now(UTC).date()) - _FIRST_DAYS
    return _TEMPLATE.format(type_name=type_name, name=name, variable=name.upper(), start_date=first)
