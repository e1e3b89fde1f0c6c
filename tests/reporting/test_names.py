"""Display names, and looks that go by the name alone."""

import subprocess
import sys
from pathlib import Path

import yaml

from flatvae.reporting.names import METHODS, display_name, method_style

ROOT = Path(__file__).parents[2]
UNKNOWN = [f"my_method_{number}" for number in range(200)]


def test_every_method_and_descriptor_of_the_config_has_a_name_and_a_look_of_its_own():
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    assert {*config["methods"], *config["descriptors"]} <= set(METHODS)
    styles = [shown.style for shown in METHODS.values()]
    assert len({style.colour for style in styles}) == len(styles)
    assert len({(style.line, style.marker) for style in styles}) == len(styles), "apart in grey too"
    assert len({shown.name for shown in METHODS.values()}) == len(styles)


def test_a_method_that_the_table_does_not_know_keeps_its_name_and_its_look_in_every_process():
    assert display_name("weight_decay") == "weight_decay"
    code = f"from flatvae.reporting.names import method_style; print([method_style(m) for m in {UNKNOWN[:20]}])"
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1] == f"{[method_style(method) for method in UNKNOWN[:20]]}\n"


def test_a_method_that_the_table_does_not_know_looks_like_none_of_the_default_run():
    default = [METHODS[method].style for method in ("vae", "vhp_vae", "flat_vae", "flat_vae_scale_free")]
    styles = [method_style(method) for method in UNKNOWN]
    assert not {style.colour for style in styles} & {style.colour for style in default}
    assert not {style.marker for style in styles} & {style.marker for style in default}
    assert len(set(styles)) > 150, "few of 200 look alike"
