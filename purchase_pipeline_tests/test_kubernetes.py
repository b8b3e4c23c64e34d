"""The manifests of deploy/kubernetes: valid, restricted, and in agreement with each other and with the pipeline."""

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import dagster_storage_url
from purchase_pipeline.stack.storage_claim import CODE_LOCATION
from purchase_pipeline_tests.manifests import (
    FILES,
    PROJECT,
    Manifest,
    config_maps,
    container,
    manifests,
    named,
    pod_template,
    validate,
)

pytestmark = pytest.mark.source

VERSIONS = ("1.32", "1.37")
"""The oldest and the newest Kubernetes that the manifests are validated for."""
WITH_PODS = manifests("Deployment", "Job", "CronJob")
ON_KUBERNETES: dict[str, Any] = yaml.safe_load(config_maps()["purchase-pipeline-dagster"]["dagster.yaml"])

each_pod = pytest.mark.parametrize("manifest", WITH_PODS, ids=lambda manifest: container(manifest)["name"])


def restricted(manifest: Manifest) -> bool:
    """Return whether a pod meets Kubernetes' Pod Security Standard "restricted", and cannot write its image."""
    pod, (of_pod,) = pod_template(manifest)["spec"], pod_template(manifest)["spec"]["containers"]
    security = of_pod["securityContext"]
    return (
        pod["securityContext"]["runAsNonRoot"] is True
        and pod["securityContext"]["runAsUser"] == pod["securityContext"]["runAsGroup"] == 10_001
        and pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        and security["allowPrivilegeEscalation"] is False
        and security["readOnlyRootFilesystem"] is True
        and security["capabilities"] == {"drop": ["ALL"]}
        and not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        and {kind for volume in pod["volumes"] for kind in volume} <= {"name", "emptyDir", "configMap"}
        and {"cpu", "memory"} == of_pod["resources"]["requests"].keys()
        and {"memory"} == of_pod["resources"]["limits"].keys()
        and pod["enableServiceLinks"] is False
    )


def names(kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in manifests(kind)}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_kubernetes_accepts_each_manifest(file: Path, version: str) -> None:
    for manifest in yaml.safe_load_all(file.read_text()):
        validate(manifest, version)


@each_pod
def test_no_pod_has_more_rights_than_it_needs(manifest: Manifest) -> None:
    assert restricted(manifest)
    pod = pod_template(manifest)["spec"]
    of_kubernetes = container(manifest)["name"] in {"daemon", "webserver", "migrate"}
    assert pod["automountServiceAccountToken"] is of_kubernetes
    assert (pod["serviceAccountName"] == "purchase-pipeline") is of_kubernetes
    assert pod["serviceAccountName"] in names("ServiceAccount")


@each_pod
def test_only_pods_that_load_have_the_loaders_password(manifest: Manifest) -> None:
    secrets = [
        one["secretRef"]["name"] for one in container(manifest).get("envFrom", ()) if "secretRef" in one
    ]

    loads = {"code", "verify"}
    expected = {"mock-api": []}.get(
        container(manifest)["name"],
        ["purchase-pipeline-loader" if container(manifest)["name"] in loads else "purchase-pipeline-dagster"],
    )
    assert secrets == expected


def test_all_pods_have_one_image_and_the_runs_too() -> None:
    code = container(named("Deployment", "purchase-pipeline-code"))

    assert {container(manifest)["image"] for manifest in WITH_PODS} == {code["image"]}
    assert code["env"] == [{"name": "DAGSTER_CURRENT_IMAGE", "value": code["image"]}]


def test_no_manifest_is_a_secret() -> None:
    assert manifests("Secret") == []
    assert not re.search(r"://[^/\s]*:[^/\s]*@", "".join(file.read_text() for file in FILES))


@each_pod
def test_what_a_pod_mounts_exists(manifest: Manifest) -> None:
    pod, of_pod, maps = pod_template(manifest)["spec"], container(manifest), config_maps()
    volumes = {volume["name"]: volume.get("configMap", {}).get("name") for volume in pod["volumes"]}

    for mount in of_pod["volumeMounts"]:
        if data := volumes[mount["name"]]:
            assert mount["mountPath"] == f"/opt/dagster/{mount['subPath']}"
            assert mount["subPath"] in maps[data]
    for source in of_pod.get("envFrom", ()):
        assert source.get("configMapRef", {"name": "purchase-pipeline"})["name"] in maps


def test_each_service_has_pods_and_each_policy_is_of_ours() -> None:
    labels = [pod_template(manifest)["metadata"]["labels"] for manifest in WITH_PODS]

    for service in manifests("Service"):
        (pods,) = [one for one in WITH_PODS if one["metadata"].get("name") == service["metadata"]["name"]]
        assert service["spec"]["selector"] == pod_template(pods)["metadata"]["labels"]
    for policy in manifests("NetworkPolicy"):
        selected = policy["spec"]["podSelector"]["matchLabels"]
        assert selected["app.kubernetes.io/part-of"] == "purchase-pipeline"
        assert any(selected.items() <= one.items() for one in labels)


def test_runs_have_the_rights_of_the_code_server() -> None:
    launcher = ON_KUBERNETES["run_launcher"]["config"]
    code = named("Deployment", "purchase-pipeline-code")

    assert launcher["service_account_name"] == pod_template(code)["spec"]["serviceAccountName"]
    assert launcher["env_config_maps"] + launcher["env_secrets"] == [
        source[kind]["name"] for source in container(code)["envFrom"] for kind in source
    ]
    assert launcher["instance_config_map"] in config_maps()


def test_dagster_is_configured_as_on_one_machine_save_for_runs() -> None:
    on_one_machine = yaml.safe_load((PROJECT / "purchase_pipeline/stack/dagster.yaml").read_text())
    differ = {"run_launcher", "concurrency", "run_monitoring", "compute_logs"}

    assert ON_KUBERNETES.keys() - {"compute_logs"} == on_one_machine.keys()
    assert {name: ON_KUBERNETES[name] for name in ON_KUBERNETES.keys() - differ} == {
        name: on_one_machine[name] for name in on_one_machine.keys() - differ
    }


def test_every_setting_exists_and_the_storage_has_the_timeouts_of_the_local_stack() -> None:
    given = config_maps()["purchase-pipeline"]
    known = {f"PURCHASE_{name.upper()}" for name in Settings.model_fields}
    url = given["DAGSTER_POSTGRES_URL"]
    settings = Settings(
        database_url=given["DATABASE_URL"],
        dagster_postgres_url=url.partition("?")[0],
    )

    assert {name for name in given if name.startswith("PURCHASE_")} <= known
    assert sa.make_url(url) == sa.make_url(dagster_storage_url(settings))


def test_the_code_server_is_where_the_workspace_looks_for_it() -> None:
    (entry,) = yaml.safe_load(config_maps()["purchase-pipeline-dagster"]["workspace.yaml"])["load_from"]
    args = container(named("Deployment", "purchase-pipeline-code"))["args"]

    assert entry["grpc_server"] == {
        "host": "purchase-pipeline-code",
        "port": 4000,
        "location_name": CODE_LOCATION,
    }
    assert {f"--location-name={CODE_LOCATION}", "--port=4000"} <= set(args)
    assert "purchase-pipeline-code" in names("Service")
