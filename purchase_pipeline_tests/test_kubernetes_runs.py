"""The processes of deploy/kubernetes, started here as its pods would be: a batch is loaded by a Job."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import dagster as dg
import httpx
import psycopg
import pytest
import yaml
from dagster._core.launcher import WorkerStatus
from dagster._grpc.client import DagsterGrpcClient

from mock_api.app import create_app
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import dagster_storage_url
from purchase_pipeline_tests.kubernetes_api import KubernetesApi, Process, kubernetes_api
from purchase_pipeline_tests.manifests import (
    PROJECT,
    Manifest,
    config_maps,
    container,
    environment,
    manifests,
    named,
    validate,
)
from purchase_pipeline_tests.person import Person
from purchase_pipeline_tests.s3 import access, an_object_store
from purchase_pipeline_tests.serving import answers, free_port, served
from purchase_pipeline_tests.test_kubernetes import VERSIONS, restricted
from purchase_pipeline_tests.waiting import wait_until
from purchase_pipeline_tests.waiting_job import waiting
from purchase_pipeline_tests.watched_runs import health_of

if TYPE_CHECKING:
    from dagster_k8s import K8sRunLauncher  # takes longer to import than Dagster: only where it is used

pytestmark = pytest.mark.proof

ROWS = 1_000
HOME = "/opt/dagster"


class Cluster:
    """The pods of the manifests as processes of this machine, with other addresses."""

    def __init__(self, folder: Path, settings: dict[str, str], secret: dict[str, str]) -> None:
        self.ports = {"--port=4000": free_port(), "--port=3000": free_port()}
        self.dagster_home = folder / "dagster"
        self.kubeconfig = folder / "kubeconfig"
        self._folder = folder
        self._maps = config_maps()
        self._maps["purchase-pipeline"].update(settings)
        self._secrets = {"purchase-pipeline-dagster": {}, "purchase-pipeline-loader": secret}
        self._mount()

    def _mount(self) -> None:
        """Write the mounted files. The launcher finds Kubernetes by a file; in a pod, by its service account."""
        mounted = self._maps["purchase-pipeline-dagster"]
        dagster: dict[str, Any] = yaml.safe_load(mounted["dagster.yaml"])
        dagster["run_launcher"]["config"] |= {
            "load_incluster_config": False,
            "kubeconfig_file": str(self.kubeconfig),
        }
        workspace = yaml.safe_load(mounted["workspace.yaml"])
        workspace["load_from"][0]["grpc_server"] |= {"host": "127.0.0.1", "port": self.ports["--port=4000"]}
        self.dagster_home.mkdir()
        (self.dagster_home / "dagster.yaml").write_text(yaml.safe_dump(dagster))
        (self.dagster_home / "workspace.yaml").write_text(yaml.safe_dump(workspace))

    def start(self, manifest: Manifest) -> Process:
        """Start a pod's container."""
        of_pod = container(manifest)
        words = [str(PROJECT / "deploy" / "entrypoint.sh"), *map(self._here, of_pod["args"])]
        with (self._folder / "pods.log").open("ab") as log:
            return subprocess.Popen(
                words, env=self.environment(of_pod), stdout=log, stderr=log, cwd=self._folder
            )

    def environment(self, of_pod: Manifest) -> dict[str, str]:
        """Return a container's environment with the addresses of this machine."""
        given = environment(of_pod, self._maps, self._secrets)
        here = {name: value.replace(HOME, str(self.dagster_home)) for name, value in given.items()}
        return {**here, "PGPASSFILE": str(self._folder / "pgpass"), "TMPDIR": str(self._folder)}

    def _here(self, word: str) -> str:
        if word in self.ports:
            return f"--port={self.ports[word]}"
        return word.replace(HOME, str(self.dagster_home)).replace("0.0.0.0", "127.0.0.1")  # noqa: S104

    def log(self) -> str:
        """Return what all pods have printed."""
        return (self._folder / "pods.log").read_text()


@pytest.fixture
def cluster(person: Person, tmp_path: Path, started: ExitStack) -> Cluster:
    """The manifests' configuration with a real PostgreSQL, bucket and API."""
    loader = person.database_url()
    storage = dagster_storage_url(Settings(home=person.home))
    _, port = started.enter_context(an_object_store())
    keys = access(port)
    boto3.client(
        "s3",
        endpoint_url=keys["AWS_ENDPOINT_URL"],
        aws_access_key_id="key",
        aws_secret_access_key="secret",  # noqa: S106
        region_name="us-east-1",
    ).create_bucket(Bucket="raw-purchases")
    return Cluster(
        tmp_path,
        {
            "DATABASE_URL": loader,
            "DAGSTER_POSTGRES_URL": storage,
            "PURCHASE_API_URL": started.enter_context(served(create_app())),
            "PURCHASE_HOME": str(tmp_path / "purchase"),
            "PURCHASE_LOTS": "1",
            "PURCHASE_ROWS": str(ROWS),
            "AWS_ENDPOINT_URL": keys["AWS_ENDPOINT_URL"],
        },
        {name: keys[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")},
    )


@pytest.fixture
def api(cluster: Cluster, started: ExitStack) -> KubernetesApi:
    """Kubernetes' API, which starts runs."""
    api, kubeconfig = started.enter_context(kubernetes_api(cluster.start))
    cluster.kubeconfig.write_text(kubeconfig)
    return api


def end(process: Process) -> None:
    process.terminate()
    process.wait(60)


def loaded(url: str) -> int:
    with psycopg.connect(url) as connection:
        ((there,),) = connection.execute("SELECT to_regclass('tabela_compras') IS NOT NULL").fetchall()
        ((rows,),) = connection.execute(
            "SELECT count(*) FROM tabela_compras" if there else "SELECT 0"
        ).fetchall()
        return int(rows)


def granted() -> set[tuple[str, str]]:
    (role,) = manifests("Role")
    return {
        (verb, resource) for rule in role["rules"] for verb in rule["verbs"] for resource in rule["resources"]
    }


@pytest.fixture
def launcher(
    cluster: Cluster, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> Iterator["K8sRunLauncher"]:
    """The run launcher as the daemon's pod creates it."""
    from dagster_k8s import K8sRunLauncher  # noqa: PLC0415

    assert api.jobs == {}
    for name, value in cluster.environment(
        container(named("Deployment", "purchase-pipeline-daemon"))
    ).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.from_config(str(cluster.dagster_home)) as instance:
        launcher = instance.run_launcher
        assert isinstance(launcher, K8sRunLauncher)
        yield launcher


def test_a_batch_is_loaded_by_a_job(
    cluster: Cluster, api: KubernetesApi, launcher: "K8sRunLauncher", person: Person, started: ExitStack
) -> None:
    (migration,) = manifests("Job")
    assert cluster.start(migration).wait(120) == 0, cluster.log()
    for name in ("purchase-pipeline-code", "purchase-pipeline-daemon", "purchase-pipeline-webserver"):
        started.callback(end, cluster.start(named("Deployment", name)))

    wait_until(lambda: loaded(person.database_url()) == ROWS, "the batch", 120)

    job = next(iter(api.jobs.values()))
    for version in VERSIONS:
        validate(job, version)
    assert restricted(job)
    assert container(job)["image"] == container(named("Deployment", "purchase-pipeline-code"))["image"]
    assert job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/part-of"] == "purchase-pipeline"
    assert job["spec"]["template"]["spec"]["automountServiceAccountToken"] is False

    code, ui = cluster.ports["--port=4000"], cluster.ports["--port=3000"]
    assert DagsterGrpcClient(port=code, host="127.0.0.1").health_check_query() == "SERVING"  # type: ignore[no-untyped-call]  # Dagster left it so
    wait_until(lambda: answers(f"http://127.0.0.1:{ui}/server_info"), "the probe of the webserver")
    assert httpx.get(f"http://127.0.0.1:{ui}/", headers={"Host": "other.example"}).status_code == 403

    instance = launcher._instance  # noqa: SLF001  (Dagster's, unnamed)
    (run,) = instance.get_runs(dg.RunsFilter(job_name="ingest_lote"))
    wait_until(lambda: health_of(instance, run.run_id) is WorkerStatus.SUCCESS, "the Job's end")
    assert api.requests <= granted()
    assert launcher.job_namespace == "the-namespace"

    (verification,) = manifests("CronJob")
    assert cluster.start(verification).wait(120) == 0, cluster.log()
    of_telemetry = {"logs", ".logs_queue"}  # which Dagster tries to make even where it is disabled
    written = {path.name for path in cluster.dagster_home.iterdir()} - {"dagster.yaml", "workspace.yaml"}
    assert written <= of_telemetry


def test_tags_of_a_run_cannot_choose_its_pod(launcher: "K8sRunLauncher") -> None:
    tags = {"dagster-k8s/config": '{"container_config": {"image": "other"}}'}

    with pytest.raises(Exception, match=r"violated the allowed list: container_config\.image"):
        launcher.get_container_context_for_run(dg.DagsterRun(job_name="any", tags=tags))


def test_a_terminated_run_loses_its_pod(launcher: "K8sRunLauncher", api: KubernetesApi) -> None:
    run = launcher._instance.create_run_for_job(waiting, status=dg.DagsterRunStatus.STARTED)  # noqa: SLF001  (as above)
    pod = api.processes[f"dagster-run-{run.run_id}"] = subprocess.Popen(["/bin/sleep", "600"])

    assert launcher.terminate(run.run_id)  # type: ignore[no-untyped-call]  # Dagster left it so

    assert pod.wait(10) != 0
    assert ("delete", "jobs") in api.requests
    assert api.requests <= granted()
