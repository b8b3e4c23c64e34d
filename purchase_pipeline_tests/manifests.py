"""The Kubernetes manifests of deploy/kubernetes: their pods, and the environment of a container."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parent.parent
FOLDER = PROJECT / "deploy" / "kubernetes"
FILES = sorted(FOLDER.rglob("*.yaml"))
Manifest = dict[str, Any]
Data = Mapping[str, Mapping[str, str]]
"""What ConfigMaps or Secrets hold, by their names."""

_IMAGE_ENVIRONMENT = dict(
    re.findall(r"^(?:ENV)? +(\w+)=(\S+)", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
)


def manifests(*kinds: str) -> list[Manifest]:
    """Return all manifests of some kinds, or of all."""
    every = (one for file in FILES for one in yaml.safe_load_all(file.read_text()))
    return [one for one in every if not kinds or one["kind"] in kinds]


def named(kind: str, name: str) -> Manifest:
    """Return the one manifest of a kind and name."""
    (found,) = (one for one in manifests(kind) if one["metadata"].get("name") == name)
    return found


def validate(manifest: Manifest, version: str) -> None:
    """Validate a manifest with the schemas of a version of Kubernetes."""
    import kubernetes_validate  # noqa: PLC0415  (imports a grammar's parser: 1.5 s of each worker)

    kubernetes_validate.validate(manifest, version, strict=True)


def pod_template(manifest: Manifest) -> Manifest:
    """Return the pod template of a Deployment, Job or CronJob."""
    spec = manifest["spec"]
    template: Manifest = spec.get("jobTemplate", {"spec": spec})["spec"]["template"]
    return template


def container(manifest: Manifest) -> Manifest:
    """Return the one container of a pod template's manifest."""
    (found,) = pod_template(manifest)["spec"]["containers"]
    return dict(found)


def config_maps() -> dict[str, dict[str, str]]:
    """Return the data of all ConfigMaps."""
    return {one["metadata"]["name"]: one["data"] for one in manifests("ConfigMap")}


def environment(container: Manifest, config_maps: Data, secrets: Data) -> dict[str, str]:
    """Return the environment of a container as Kubernetes and the image make it, and nothing of this process.

    Programs are found in the running virtual environment.
    """
    found = {**_IMAGE_ENVIRONMENT, "PATH": f"{Path(sys.executable).parent}:{os.defpath}"}
    found.update(_from_sources(container, config_maps, secrets))
    found.update({one["name"]: one.get("value") or "the-namespace" for one in container.get("env") or ()})
    return found


def _from_sources(container: Manifest, config_maps: Data, secrets: Data) -> Iterator[tuple[str, str]]:
    for source in container["envFrom"]:
        if "configMapRef" in source:
            yield from config_maps[source["configMapRef"]["name"]].items()
        else:
            yield from secrets[source["secretRef"]["name"]].items()
