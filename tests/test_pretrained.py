"""Pretrained models: each loads, is the one that its card describes, and comes from a run by one command."""

import re
from pathlib import Path

import pandas as pd
import pytest
import torch

import flatvae
from flatvae import checkpoint, datasets, pretrained
from flatvae.evaluation import encode
from flatvae.geometry.metric import condition_number, pullback_metric
from flatvae.pretrained.__main__ import METHODS, main

CARD = (pretrained.FOLDER / "README.md").read_text(encoding="utf-8")
ROWS = {name: cells.split(" | ") for name, cells in re.findall(r"^\| `(.+?)` \| (.+) \|$", CARD, re.MULTILINE)}
COLUMNS = CARD[CARD.index("| model |") :].splitlines()[0].strip("| ").split(" | ")[1:]


def test_the_card_lists_every_model():
    assert sorted(ROWS) == pretrained.names()
    assert {name.split("/")[0] for name in ROWS} >= {"pendulum", "digits"}
    assert all({f"{name.split('/')[0]}/{method}" for method in METHODS} <= {*ROWS} for name in ROWS)


@pytest.mark.parametrize("name", pretrained.names())
def test_a_model_has_the_flatness_and_error_of_its_card(name):
    """Half precision of the weights moves neither by a percent."""
    model, card = flatvae.load_pretrained(name), dict(zip(COLUMNS, ROWS[name], strict=True))
    dataset = name.split("/")[0]
    if dataset not in ("pendulum", "digits"):
        pytest.skip("the data are no part of the package")
    options = {"train": 15000, "validation": 1000, "test": 2000} if dataset == "pendulum" else {}
    data = datasets.load(dataset, None, **options)
    codes = encode(model, data.test).double()
    model = model.double()
    k = condition_number(pullback_metric(model.decode, codes)).quantile(0.5, interpolation="nearest").item()
    assert k == pytest.approx(float(card["k, codes"]), rel=0.01)
    assert not any(p.requires_grad for p in model.parameters())
    assert model.config["seed"] == int(card["seed"])


def test_files_are_small():
    sizes = [path.stat().st_size for path in pretrained.FOLDER.glob("*/*.safetensors")]
    assert max(sizes) <= 1.5e6
    assert sum(sizes) <= 12e6


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(
        flatvae.InputError, match=r"no pretrained model 'pendulum/gan'; take one of .*pendulum/flat_vae"
    ):
        flatvae.load_pretrained("pendulum/gan")


def _run(folder: Path, qualified: list[int]) -> Path:
    """A run's results: the pretrained models of digits, as seeds 3 and 5, of which some qualify."""
    rows = []
    for method in METHODS:
        source = pretrained.FOLDER / "digits" / f"{method}.safetensors"
        content = checkpoint.metadata(source)
        _, state = checkpoint._read(source)
        target = folder / "digits" / method / "model.safetensors"
        target.parent.mkdir(parents=True)
        both = {key: torch.cat([torch.zeros_like(value), value]).float() for key, value in state.items()}
        seeds = [{**content["seeds"][0], "seed": seed} for seed in (3, 5)]
        kept = {key: value for key, value in content.items() if key not in ("version", "sha256")}
        checkpoint.save(target, both, {**kept, "seeds": seeds})
        for seed in (3, 5):
            for metric, value in {"equal_reconstruction": 1, "settled": int(seed in qualified), "kl": seed}.items():
                rows.append(["digits", method, "", "reconstruction", metric, seed, value])
    columns = ["dataset", "method", "distance", "task", "metric", "seed", "value"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "metrics.csv", index=False)
    return folder


def test_the_command_takes_the_first_seed_that_qualifies(tmp_path, monkeypatch):
    main([str(_run(tmp_path / "run", [5])), "--output", str(tmp_path)])
    for method in METHODS:
        path = tmp_path / "digits" / f"{method}.safetensors"
        assert [seed["seed"] for seed in checkpoint.metadata(path)["seeds"]] == [5]
        monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
        taken = flatvae.load_pretrained(f"digits/{method}").state_dict()
        monkeypatch.undo()
        for key, value in flatvae.load_pretrained(f"digits/{method}").state_dict().items():
            assert torch.equal(taken[key], value)
    card = (tmp_path / "README.md").read_text()
    assert "| `digits/flat_vae` | 5 | 1 | – | 5 |" in card
    assert "UCI" in card
    assert "mocap" not in card


def test_a_run_whose_seeds_all_missed_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(_run(tmp_path / "run", [])), "--output", str(tmp_path)])
    assert "no seed of digits/vae is at equal reconstruction and settled; train it longer" in capsys.readouterr().err
