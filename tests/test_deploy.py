"""What docs/deploy and docs/deployment.md name is there: settings, commands, files, versions."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from cortez.commands.cli import cli
from cortez.server.supervisor import GRACE, KILL_AFTER
from cortez.settings import NAMES, Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "docs" / "deploy"
FILES = [ROOT / "docs" / "deployment.md", *sorted(DEPLOY.iterdir())]
SETTING = re.compile(r"\b(?:CORTEZ|DB|DATABASE)_[A-Z][A-Z_]*\b")
COMMAND = re.compile(r"(?<!=)(?<!-u )(?<!-T )(?<!exec )(?<!\* )\bcortez ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?(?![\w/])")
IN_A_LIST = re.compile(r'(?:command:|^CMD) \["(\w+)"()\]', re.MULTILINE)
PATH = re.compile(r"(?<!/)\bdocs/[\w./-]+\w")
TO_BE_MADE = {"docs/deploy/.env"}
COMPOSE = (DEPLOY / "compose.yml").read_text()
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
EXAMPLE = (DEPLOY / "env.example").read_text()
FILLED = {name: f"the-{name}" for name in re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE)}
SECRETS = ("POSTGRES_PASSWORD", "OWNER_PASSWORD", "SERVICE_PASSWORD", "CORTEZ_SECRET_KEY")
of_each_service = pytest.mark.parametrize("name", SERVICES)
of_each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.name))


@of_each_file
def test_every_setting_in_it_is_one(file: Path) -> None:
    assert set(SETTING.findall(file.read_text())) <= set(NAMES.values())


@of_each_file
def test_every_command_in_it_is_one(file: Path) -> None:
    for first, second in COMMAND.findall(file.read_text()) + IN_A_LIST.findall(file.read_text()):
        command = cli.get_command(click.Context(cli), first)
        assert command, first
        if isinstance(command, click.Group):
            assert second in command.commands, (first, second)


@of_each_file
def test_every_path_in_it_is_there(file: Path) -> None:
    missing = {name for name in PATH.findall(file.read_text()) if not (ROOT / name).exists()}
    assert missing <= TO_BE_MADE


@pytest.mark.parametrize("file", sorted(DEPLOY.glob("*.yml")), ids=lambda file: str(file.name))
def test_yaml_can_be_read(file: Path) -> None:
    assert isinstance(yaml.safe_load(file.read_text()), dict)


def test_compose_mounts_and_reads_what_is_there_or_is_to_be_made() -> None:
    named = set(re.findall(r"(?<!\.)\./([\w.-]+)", COMPOSE))
    assert named <= {file.name for file in DEPLOY.iterdir()}


def knows(name: str) -> dict[str, str]:
    """The environment of a container, where env.example is filled in."""
    service = SERVICES[name]
    given = FILLED if "env_file" in service else {}
    return dict(given) | {key: filled(value) for key, value in service.get("environment", {}).items()}


def filled(text: str) -> str:
    return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: FILLED.get(found[1]) or found[2], text)


@of_each_service
def test_a_container_writes_to_its_volumes_and_to_memory_only(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert "/tmp" in service["tmpfs"]  # noqa: S108
    assert not service.get("secrets")  # which are written into the root


@of_each_service
def test_an_image_has_an_exact_version_and_can_be_pinned(name: str) -> None:
    service = SERVICES[name]
    image = service["build"]["args"]["PYTHON_IMAGE"] if "build" in service else service["image"]
    variable, version = re.fullmatch(r"\$\{(\w+_IMAGE):-[\w./]+:v?([\w.-]+)\}", image).groups()  # type: ignore[union-attr]
    assert re.match(r"\d+\.\d+", version)
    assert f"# {variable}=" in EXAMPLE
    assert variable in (ROOT / "docs" / "deployment.md").read_text()


def test_the_image_is_built_on_the_version_that_compose_names() -> None:
    [image] = set(re.findall(r"PYTHON_IMAGE:-([\w.:-]+)\}", COMPOSE))
    assert f"ARG PYTHON_IMAGE={image}\n" in (DEPLOY / "Dockerfile").read_text()
    assert f" {image}\ndo\n" in (ROOT / "docs" / "deployment.md").read_text()


def test_each_container_knows_the_secrets_that_it_needs() -> None:
    known = {name: " ".join(knows(name).values()) for name in SERVICES}
    found = {name: {one for one in SECRETS if f"the-{one}" in text} for name, text in known.items()}
    assert found == {
        "db": {"POSTGRES_PASSWORD", "OWNER_PASSWORD", "SERVICE_PASSWORD"},
        "migrate": {"OWNER_PASSWORD", "CORTEZ_SECRET_KEY"},
        "cortez": {"SERVICE_PASSWORD", "CORTEZ_SECRET_KEY"},
        "pgbouncer": {"SERVICE_PASSWORD"},
        "prometheus": set(),
    }


def test_one_role_migrates_and_another_serves() -> None:
    owner, service = re.findall(r"^CREATE ROLE (\w+) LOGIN", (DEPLOY / "roles.sql").read_text(), re.MULTILINE)
    assert SERVICES["migrate"]["command"] == ["migrate", "--grant-to", service]
    for name, role in {"migrate": owner, "cortez": service, "pgbouncer": service}.items():
        for variable, value in knows(name).items():
            if variable.startswith("DATABASE_"):
                assert value.startswith(f"postgresql://{role}:"), name
    assert f"--username={service}" in SERVICES["db"]["healthcheck"]["test"]


def test_env_example_has_every_variable_that_compose_asks_for() -> None:
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE))
    named = set(re.findall(r"^(?:# )?([A-Z_]+)=", EXAMPLE, re.MULTILINE))
    assert asked <= named


def test_a_stop_is_given_the_time_that_it_may_take() -> None:
    longest = Settings().stop_timeout + GRACE + KILL_AFTER
    systemd = re.search(r"^TimeoutStopSec=(\d+)$", (DEPLOY / "cortez.service").read_text(), re.MULTILINE)
    compose = SERVICES["cortez"]["stop_grace_period"]
    assert systemd
    assert min(int(systemd[1]), int(compose.removesuffix("s"))) > longest


def test_the_image_is_given_what_the_wheel_is_made_of() -> None:
    given = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert all((ROOT / name).exists() for name in given)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {project["project"]["readme"], "pyproject.toml", *wheel["force-include"]}
    assert needed | {name.partition("/")[0] for name in wheel["packages"]} <= given
    copied = re.findall(r"^COPY (docs/\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert set(copied) <= given


def locked(file: Path) -> Iterator[str]:
    """Each package of a lock: its name, version and hashes."""
    return (block.rstrip(" \\\n") for block in re.split(r"^(?=\w)", file.read_text(), flags=re.MULTILINE) if block)


def test_what_runs_is_locked_as_it_was_tested() -> None:
    """`make lock` writes both."""
    tested, deployed = set(locked(ROOT / "requirements.lock")), set(locked(DEPLOY / "requirements.lock"))
    assert deployed < tested
    names = {block.partition("==")[0] for block in deployed}
    wanted = [re.match(r"[\w-]+", one) for one in requires("cortez") or () if "extra ==" not in one]
    assert {name[0] for name in wanted if name} <= names
    assert not names & {"pytest", "mypy", "ruff"}
