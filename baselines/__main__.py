"""Writes the file of a new baseline, and a config that runs it: ``flatvae new-baseline NAME``."""

import keyword
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIG = """# Compares {name} with the VHP-VAE and the paper's method, on the pendulum.
results_dir: results/{name}
seeds: 3
run:
  datasets: [pendulum]
  methods: [vhp_vae, flat_vae, {name}]
methods:
  {name}: {{}} # hyperparameters, for every data set
"""


def lay_down(name: str) -> list[Path]:
    """Writes ``baselines/<name>.py`` and ``config/<name>.yaml``.

    Raises:
        ValueError: the name is not a module name or is taken, or this is not a copy of the repository.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ValueError(f"NAME is {name!r}; it must be a Python name of lowercase letters, digits and _")
    if not all((HERE.parent / there).exists() for there in ("Snakefile", "config")):
        raise ValueError(f"{HERE} is an installed package; git clone the repository and call this in its folder")
    paths = [HERE / f"{name}.py", HERE.parent / "config" / f"{name}.yaml"]
    for path in paths:
        if path.exists():
            raise ValueError(f"{path.relative_to(HERE.parent)} exists already; choose another NAME")
    template = (HERE / "_template.py").read_text(encoding="utf-8")
    for path, text in zip(paths, (template.replace("NAME", name), CONFIG.format(name=name)), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


if __name__ == "__main__":
    try:
        module, config = (path.relative_to(HERE.parent) for path in lay_down(sys.argv[1] if len(sys.argv) > 1 else ""))
    except (ValueError, OSError) as error:
        sys.exit(f"flatvae: {error}")
    print(f"Wrote {module}, which runs unchanged: snakemake --cores all --configfile {config}")
