"""What is deployed on Pipecat Cloud: the image's files suffice, and the agent is described."""

import asyncio
import re
import shutil
import sys
import tomllib
from pathlib import Path

DOCKERFILE = Path("deploy/Dockerfile").read_text()
AGENT = tomllib.loads(Path("deploy/pcc-deploy.toml").read_text())

ENTRY = """
import inspect, sys
from bot import bot
assert inspect.iscoroutinefunction(bot) and list(inspect.signature(bot).parameters) == ["runner_args"]
import bot.runner
assert not {name.split(".")[0] for name in sys.modules} & {"web", "sandbox", "aiortc", "cv2", "rich.console"}
"""


async def run(*command: str, folder: Path | None = None) -> tuple[int | None, str]:
    """A command's status and what it said."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_with_the_files_of_the_image_alone_the_bot_is_found(tmp_path: Path):
    copied = re.findall(r"^COPY (.+) (\S+)$", DOCKERFILE, re.MULTILINE)
    for sources, target in copied:
        for source in sources.split():
            goal = tmp_path / source if target.endswith("/") else tmp_path / target
            (shutil.copytree if Path(source).is_dir() else shutil.copy)(source, goal)
    status, output = await run(sys.executable, "-c", ENTRY, folder=tmp_path)
    assert status == 0, output


async def test_the_image_installs_what_the_project_needs_in_the_versions_of_the_lock():
    assert "sed -e '/--hash/d' -e 's/ \\\\$//'" in DOCKERFILE
    _, constraints = await run("sed", "-e", "/--hash/d", "-e", r"s/ \\$//", "requirements.lock")
    pins = [line for line in constraints.splitlines() if not line.startswith("#")]
    assert pins
    assert all(re.match(r"[a-z0-9-]+==\S+( ; .+)?$", pin) for pin in pins)


def test_one_agent_is_always_warm_and_its_secrets_are_none_of_the_file_s():
    assert AGENT["scaling"]["min_agents"] >= 1
    assert AGENT["secret_set"]
    assert set(AGENT) == {"agent_name", "image", "secret_set", "agent_profile", "scaling"}
