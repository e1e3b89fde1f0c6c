"""The default config, as Snakemake puts it together from its files."""

from pathlib import Path

import yaml

CONFIG = Path(__file__).resolve().parents[1] / "config"
PARTS = ("config", "claims", "controls", "search")


def default() -> dict:
    """What stands in the files of the default config; no key stands in two of them."""
    parts = [yaml.safe_load((CONFIG / f"{part}.yaml").read_text()) for part in PARTS]
    merged = {key: value for part in parts for key, value in part.items()}
    assert len(merged) == sum(map(len, parts))
    return merged
