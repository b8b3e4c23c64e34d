"""The part of Kubernetes that a run launcher needs: an API that takes Jobs, and processes in place of their pods."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from purchase_pipeline_tests.manifests import Manifest
from purchase_pipeline_tests.serving import served

Process = subprocess.Popen[bytes]
_BATCH = "/apis/batch/v1/namespaces/{namespace}"
_CORE = "/api/v1/namespaces/{namespace}"


class KubernetesApi:
    """Starts each Job by a function. It keeps the Jobs, their processes, and which requests were made."""

    def __init__(self, start: Callable[[Manifest], Process]) -> None:
        self.jobs: dict[str, Manifest] = {}
        self.processes: dict[str, Process] = {}
        self.requests = set[tuple[str, str]]()
        self._start = start

    async def create(self, request: Request) -> Response:
        """Start a Job."""
        self.requests.add(("create", "jobs"))
        job: Manifest = await request.json()
        name = job["metadata"]["name"]
        self.jobs[name], self.processes[name] = job, self._start(job)
        return JSONResponse(job, status_code=201)

    async def status(self, request: Request) -> Response:
        """Report whether a Job's process still runs, and how it ended."""
        self.requests.add(("get", "jobs/status"))
        name = request.path_params["name"]
        code = self.processes[name].poll()
        status = {"active": 1} if code is None else {"failed" if code else "succeeded": 1}
        return JSONResponse({**self.jobs[name], "status": status})

    async def pods(self, request: Request) -> Response:
        """List the one pod of a Job, which has the Job's name."""
        self.requests.add(("list", "pods"))
        name = request.query_params["labelSelector"].removeprefix("job-name=")
        found = [{"metadata": {"name": name}}] if name in self.processes else []
        return JSONResponse({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": found})

    async def delete(self, request: Request) -> Response:
        """Delete a Job, or the pod that it left, whose process ends."""
        kind = request.path_params["kind"]
        self.requests.add(("delete", kind))
        if kind == "pods":
            self.processes[request.path_params["name"]].kill()
        return JSONResponse({"apiVersion": "v1", "kind": "Status", "status": "Success"})

    def kill(self) -> None:
        """End the processes of all Jobs."""
        for process in self.processes.values():
            process.kill()
            process.wait()


@contextmanager
def kubernetes_api(start: Callable[[Manifest], Process]) -> Iterator[tuple[KubernetesApi, str]]:
    """Serve the API; yield it with the text of a kubeconfig."""
    api = KubernetesApi(start)
    routes = [
        Route(f"{_BATCH}/jobs", api.create, methods=["POST"]),
        Route(f"{_BATCH}/jobs/{{name}}/status", api.status, methods=["GET"]),
        Route(f"{_BATCH}/{{kind}}/{{name}}", api.delete, methods=["DELETE"]),
        Route(f"{_CORE}/pods", api.pods, methods=["GET"]),
        Route(f"{_CORE}/{{kind}}/{{name}}", api.delete, methods=["DELETE"]),
    ]
    with served(Starlette(routes=routes)) as url:
        try:
            yield api, _kubeconfig(url)
        finally:
            api.kill()


def _kubeconfig(url: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
            "clusters": [{"name": "here", "cluster": {"server": url}}],
            "users": [{"name": "here", "user": {}}],
        }
    )
