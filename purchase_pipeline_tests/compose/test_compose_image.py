"""The content of the image, and when its build fails."""

import json
import shutil
from pathlib import Path

import pytest

from purchase_pipeline_tests.compose.stack import PROJECT, ComposeStack, DockerError, docker

MOST_BYTES = 680_000_000  # including pyarrow (140 MB)


def in_image(stack: ComposeStack, script: str) -> str:
    return stack.compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", "api", "-c", script)


def test_it_is_small(stack: ComposeStack) -> None:
    (image,) = json.loads(docker("image", "inspect", stack.compose("config", "--images", "api").strip()))

    print(f"\nimage: {image['Size'] / 1e6:.0f} MB")
    assert image["Size"] < MOST_BYTES


def test_it_runs_unprivileged_with_only_tmp_writable_and_without_build_tools(
    stack: ComposeStack,
) -> None:
    assert in_image(stack, "id -u").strip() == "10001"
    refused = in_image(stack, "touch /opt/venv/x /opt/dagster/x /x 2>&1 || true")
    assert refused.count("Read-only file system") == 3
    assert in_image(stack, "touch /tmp/x && echo written").strip() == "written"
    assert in_image(stack, "ls /opt/venv/bin | grep -c ^pip || true").strip() == "0"
    assert in_image(stack, "command -v cc gcc g++ ld strip || echo none").strip() == "none"


def test_the_build_fails_if_the_lock_does_not_satisfy_the_project(tmp_path: Path) -> None:
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    let_in = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    for name in [".dockerignore", "Dockerfile", *let_in]:
        source, target = PROJECT / name, tmp_path / name
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(
        pyproject.read_text().replace("\ndependencies = [", '\ndependencies = [\n    "six>=99",')
    )

    with pytest.raises(DockerError, match=r"purchase-pipeline .* has requirement six>=99, but you have six"):
        docker("build", "--progress", "plain", str(tmp_path))
