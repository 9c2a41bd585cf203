"""Jars from Maven's registry, for the tests that need Java's own clients and brokers. Kept in Maven's local repository."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
SECONDS = 150  # the first time; later the local repository answers in 3 s
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>stockwatch</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>{dependencies}</dependencies></project>"""


@functools.cache
def jars(*coordinates: str) -> list[Path]:
    """The jars of these coordinates (`group:artifact:version[:classifier]`) and of all that they need at run time.

    Skips the test, saying why in one line, where Java or Maven is missing or the registry cannot be reached in time.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed, which {coordinates[0]} needs")
    with tempfile.TemporaryDirectory(prefix="stockwatch-maven-") as folder:
        pom, listed = Path(folder, "pom.xml"), Path(folder, "classpath")
        pom.write_text(_POM.format(dependencies="".join(map(_dependency, coordinates))))
        goal = [f"{PLUGIN}:build-classpath", "-DincludeScope=runtime", f"-Dmdep.outputFile={listed}"]
        said = ""
        for offline in (["--offline"], []):  # the registry is asked only for what is not here yet
            try:
                ended = subprocess.run(
                    ["mvn", "--batch-mode", "--quiet", *offline, "--file", str(pom), *goal],
                    capture_output=True, text=True, timeout=SECONDS, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                pytest.skip(f"Maven's registry did not give {coordinates[0]} within {SECONDS} s")
            if ended.returncode == 0:
                return [Path(path) for path in listed.read_text().strip().split(os.pathsep)]
            said = next((line for line in ended.stdout.splitlines() if "ERROR" in line), ended.stderr.strip())
    pytest.skip(f"Maven's registry does not give {coordinates[0]}: {said[:200]}")


def _dependency(coordinate: str) -> str:
    names = ("groupId", "artifactId", "version", "classifier")
    parts = "".join(f"<{name}>{value}</{name}>" for name, value in zip(names, coordinate.split(":"), strict=False))
    return f"<dependency>{parts}</dependency>"
