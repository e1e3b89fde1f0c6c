"""A Slurm of one node, brought up for the tests: its own keys, ports and files, no accounting.

The node has what this machine has, and one fake GPU. Slurm comes from Debian's packages, which are installed where that can
be done; else the tests are skipped, and say why. Its configuration is linked to from /etc/slurm for as long as the tests
last: the plugin's job steps find none that the environment variable SLURM_CONF names.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import debian
import pytest
import yaml

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
FILES = ("slurm.conf", "gres.conf")
ETC = Path("/etc/slurm")
CONFIG = """
ClusterName=ci
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
ReturnToService=2
MinJobAge=3600
KillWait=10
InactiveLimit=0
JobRequeue=0
EnforcePartLimits=ALL
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
NodeName={host} NodeAddr=127.0.0.1 {hardware} Gres=gpu:1 State=UNKNOWN
PartitionName=ci Nodes={host} Default=YES MaxTime=UNLIMITED DefaultTime=30 State=UP
"""


def run(*command: str, timeout: float = 60, **keywords) -> str:
    """Output of a command that must succeed in time: a client of Slurm waits for ever where something is wrong."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, **keywords
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}"
    return done.stdout


def missing() -> str | None:
    """Installs Slurm where it is not; the reason where that cannot be done."""
    if any((ETC / name).exists() for name in FILES):
        return f"there is a Slurm on this machine already, see {ETC}"
    if os.geteuid() != 0:
        return f"only root can bring up a Slurm, whose configuration must be in {ETC}"
    if all(shutil.which(program) for program in PROGRAMS):
        return None
    reason = debian.install(*PACKAGES)
    return f"Slurm is not installed ({', '.join(PROGRAMS)}): {reason}" if reason else None


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Slurm:
    """The cluster, and what its jobs were."""

    def __init__(self, folder: Path):
        self.folder = folder
        for path in (folder, folder / "state", folder / "spool"):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)  # else munged refuses

    def start(self) -> None:
        """Starts the three daemons and waits until the node is there."""
        folder, host = self.folder, socket.gethostname().split(".")[0]
        key = folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        run(
            *("munged", f"--key-file={key}", f"--socket={folder}/munge.sock", f"--pid-file={folder}/munged.pid"),
            *(f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed"),
        )
        hardware = run("slurmd", "-C").split(maxsplit=1)[1].splitlines()[0]
        user = run("id", "-un").strip()
        text = CONFIG.format(folder=folder, host=host, user=user, hardware=hardware, ports=free_ports(2))
        (folder / "slurm.conf").write_text(text)
        (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu Count=1 File=/dev/null\n")
        ETC.mkdir(exist_ok=True)
        for name in FILES:
            (ETC / name).unlink(missing_ok=True)  # a link to nowhere, of tests that were killed
            (ETC / name).symlink_to(folder / name)
        run("slurmctld")
        run("slurmd")
        for _ in range(60):
            with contextlib.suppress(AssertionError):
                if run("sinfo", "-h", "-o", "%T").strip() == "idle":
                    return
            time.sleep(0.5)
        raise RuntimeError(f"the node does not come up:\n{self.log()}")

    def log(self) -> str:
        """The ends of the daemons' logs."""
        return "\n".join("\n".join(path.read_text().splitlines()[-20:]) for path in self.folder.glob("*.log"))

    def stop(self) -> None:
        """Ends the jobs and the daemons."""
        with contextlib.suppress(AssertionError, OSError, subprocess.TimeoutExpired):
            run("scancel", "--me")
            for _ in range(60):  # what is left of a test that failed would outlive the daemons
                if not run("squeue", "--me", "--noheader"):
                    break
                time.sleep(0.5)
        for name in ("slurmd", "slurmctld", "munged"):
            with contextlib.suppress(OSError, ValueError):
                pid = int((self.folder / f"{name}.pid").read_text())
                os.kill(pid, signal.SIGTERM)
                for _ in range(40):
                    os.kill(pid, 0)
                    time.sleep(0.25)
        for name in FILES:
            if (ETC / name).is_symlink():
                (ETC / name).unlink()

    def jobs(self) -> list[dict[str, str]]:
        """All jobs of the last hour, the oldest first: what `scontrol show job` says of each."""
        lines = run("scontrol", "--oneliner", "show", "job").splitlines()
        found = [dict(re.findall(r"(\w[\w:/]*)=(\S*)", line)) for line in lines if line.startswith("JobId=")]
        return sorted(found, key=lambda job: int(job["JobId"]))


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    pytest.importorskip("snakemake_executor_plugin_slurm")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: the path of a socket must be
    cluster = Slurm(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def profile(project) -> str:
    """The Slurm profile, filled in for this cluster, which has no accounts, as docs/running.md says, and less patient."""
    text = (project.folder / "profiles" / "slurm" / "profile.yaml").read_text()
    assert text.count("FILL_IN") == 3  # two lines, and a comment that speaks of them
    text = re.sub(r"\n *slurm_account: FILL_IN.*", "", text)
    text = text.replace("slurm_partition: FILL_IN", "slurm_partition: ci")
    impatient = {"slurm-init-seconds-before-status-checks": 2, "latency-wait": 10}
    folder = project.folder / "profiles" / "ci"
    folder.mkdir()
    (folder / "profile.yaml").write_text(yaml.safe_dump(yaml.safe_load(text) | impatient))
    return "profiles/ci"
