"""Links from the assets to their code and to the pages that document them."""

import inspect
import warnings
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from purchase_pipeline.settings import PROJECT

_CODE = "dagster/code_references"
_PAGE = "documentation"

_Asset = dg.AssetsDefinition | dg.AssetSpec


def page(documentation: str | None) -> dict[str, dg.MetadataValue[Any]]:
    """Return the metadata of a page of the documentation: a link, if it is a URL."""
    if documentation is None:
        return {}
    is_url = documentation.startswith(("https://", "http://"))
    return {_PAGE: dg.MetadataValue.url(documentation) if is_url else dg.MetadataValue.path(documentation)}


def code_of(contract: type) -> dict[str, dg.MetadataValue[Any]]:
    """Return the metadata that refer to a contract's code; none if it was not written in a file."""
    try:
        file, line = inspect.getsourcefile(contract), inspect.getsourcelines(contract)[1]
    except (OSError, TypeError):  # made of a YAML's `columns`, or typed into a shell
        return {}
    if file is None:
        return {}
    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):
        path = str(Path(file).absolute())
        reference = dg.LocalFileCodeReference(file_path=path, line_number=line, label="contract")
        return {_CODE: dg.CodeReferencesMetadataValue(code_references=[reference])}


def with_own_code(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Refer to the functions that compute the assets."""
    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):
        found = dg.with_source_code_references(list(assets))
    return [asset for asset in found if isinstance(asset, dg.AssetsDefinition)]


def linked(assets: Iterable[_Asset], repository_url: str | None) -> list[_Asset]:
    """Turn the paths in the assets' metadata into addresses.

    Without the address of the repository, an editor opens the code, and `stack.webserver` serves a checkout's pages.

    Args:
        assets: with pages by their paths in the repository, and code by its file.
        repository_url: the web address of the repository, at GitHub, GitLab or alike.
    """
    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):
        return list(dg.map_asset_specs(partial(_linked, repository_url), assets))


def _linked(repository_url: str | None, spec: dg.AssetSpec) -> dg.AssetSpec:
    metadata, documentation, code = dict(spec.metadata), spec.metadata.get(_PAGE), spec.metadata.get(_CODE)
    if isinstance(documentation, dg.PathMetadataValue):
        if repository_url:
            metadata[_PAGE] = dg.MetadataValue.url(_blob(repository_url, documentation.path))
        elif (PROJECT / documentation.path).is_file():
            metadata[_PAGE] = dg.MetadataValue.url(f"/{documentation.path}")
    if repository_url and isinstance(code, dg.CodeReferencesMetadataValue):
        references = [_in_repository(repository_url, each) for each in code.code_references]
        metadata[_CODE] = dg.CodeReferencesMetadataValue(code_references=references)
    return spec.replace_attributes(metadata=metadata)


def _in_repository(
    repository_url: str, code: dg.LocalFileCodeReference | dg.UrlCodeReference
) -> dg.LocalFileCodeReference | dg.UrlCodeReference:
    """Return where code is in the repository; its file, if that is in no project."""
    if isinstance(code, dg.UrlCodeReference):
        return code
    file = Path(code.file_path)
    project = next((folder for folder in file.parents if (folder / "pyproject.toml").is_file()), None)
    if project is None:
        return code
    url = _blob(repository_url, file.relative_to(project).as_posix())
    return dg.UrlCodeReference(url=f"{url}#L{code.line_number}", label=code.label)


def _blob(repository_url: str, path: str) -> str:
    return f"{repository_url.rstrip('/')}/blob/HEAD/{path}"
