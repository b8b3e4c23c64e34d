"""The component `purchase_pipeline.FeedComponent`: a feed in YAML. What YAML may say is in `feeds.yaml`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Self

import dagster as dg
from pydantic import BaseModel, ValidationError

from purchase_pipeline import PipelineError
from purchase_pipeline.feeds.scaffold import FeedScaffolder

if TYPE_CHECKING:
    from purchase_pipeline.feeds.feed import Feed

# Modules that take long to import are imported where they are used: Dagster loads this one to list the components.


@dg.scaffold_with(FeedScaffolder)
@dataclass
class FeedComponent(dg.Component, dg.Resolvable):
    """A feed: an HTTP API, or any function, loaded into a PostgreSQL table and a quarantine, partition by partition.

    It makes three assets, their checks, a job and a sensor that loads missing partitions:

        type: purchase_pipeline.FeedComponent
        attributes:
          name: orders
          columns: {order_id: text, amount: "numeric(12,2)", placed_at: timestamptz, note: text?}
          partitions: {type: daily, start_date: "2026-01-01"}
          source: {url: ORDERS_API_URL, path: /orders, params: {day: "{partition_key}"}, token: ORDERS_API_TOKEN}

    Secrets are given by the name of their environment variable. In Python, the same is a `Feed`.
    """

    feed: "Feed"

    @classmethod
    def model(cls) -> type[BaseModel]:
        """Return the model of the attributes in YAML."""
        from purchase_pipeline.feeds.yaml.feed import FeedAttributes  # noqa: PLC0415

        return FeedAttributes

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel | None) -> Self:
        """Render the attributes' templates, and declare the feed.

        Raises:
            dagster.components.resolved.errors.ResolutionException: an attribute is wrong.
        """
        from purchase_pipeline.feeds.yaml.attributes import BUILD  # noqa: PLC0415
        from purchase_pipeline.feeds.yaml.feed import FeedAttributes, feed_of  # noqa: PLC0415

        written = (
            {} if model is None else model.model_dump(exclude_unset=True, warnings=False)
        )  # templates are not of their type
        try:
            attributes = FeedAttributes.model_validate(_rendered(context, written), context=BUILD)
            return cls(feed_of(attributes))
        except ValidationError as error:
            _refuse(context, error)
        except PipelineError as error:
            _raise_at(context, str(error))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002  (Dagster's signature)
        """Return the feed's definitions."""
        return self.feed.definitions()


def _rendered(context: dg.ResolutionContext, value: Any) -> Any:  # noqa: ANN401
    """Render the templates in a value. Other texts stay as they are: Dagster makes a number of "1.50"."""
    from purchase_pipeline.feeds.yaml.values import is_template  # noqa: PLC0415

    if isinstance(value, dict):
        return {key: _rendered(context.at_path(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rendered(context.at_path(index), each) for index, each in enumerate(value)]
    if not is_template(value):
        return value
    rendered = context.resolve_value(value)
    if rendered is None:
        _raise_at(context, f"{value!r} has no value. Set the environment variable.")
    return rendered


def _refuse(context: dg.ResolutionContext, error: ValidationError) -> NoReturn:
    (first, *_) = error.errors(include_url=False)
    for part in first["loc"]:
        context = context.at_path(part)
    _raise_at(context, first["msg"].removeprefix("Value error, "))


def _raise_at(context: dg.ResolutionContext, problem: str) -> NoReturn:
    from purchase_pipeline.feeds.yaml.attributes import Attributes  # noqa: PLC0415

    where = ".".join(str(part) for part in context.path)
    raise context.build_resolve_fn_exc([f"{where}: {problem}"], where, Attributes.model_construct()) from None
