"""Write dist/sbom.cdx.json (CycloneDX): the pins of requirements.lock, with hashes, and licences as installed.

The same for the same lock. Pins of other platforms or Python versions are not installed here, so they have no licence.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parent.parent
SBOM = PROJECT / "dist" / "sbom.cdx.json"


def described(kind: str, source: Path) -> dict[str, Any]:
    """Return what cyclonedx-py says of an environment, or of a file of requirements."""
    program = Path(sys.executable).with_name("cyclonedx-py")
    options = ("--pyproject", PROJECT / "pyproject.toml", "--output-reproducible")
    done = subprocess.run([program, kind, *options, source], capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Add to each pin the licence of the installed package of that name and version."""
    pinned = described("requirements", PROJECT / "requirements.lock")
    installed = {
        (canonicalize_name(one["name"]), one["version"]): one["licenses"]
        for one in described("environment", Path(sys.executable))["components"]
        if "licenses" in one
    }
    for component in pinned["components"]:
        if licences := installed.get((canonicalize_name(component["name"]), component["version"])):
            component["licenses"] = licences
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(json.dumps(pinned, indent=2) + "\n")
    without = [one["name"] for one in pinned["components"] if "licenses" not in one]
    print(
        f"Wrote {SBOM.relative_to(PROJECT)}: {len(pinned['components'])} packages; no licence of {without or 'none'}."
    )


main()
