"""Seeds together against seeds alone, and both against a loop as one would write it for one model."""

import math
import types

import pytest
import torch
from plain_training import PlainTraining
from torch.func import jacrev, vmap
from torch.utils._python_dispatch import TorchDispatchMode

from baselines import vae, vhp_vae
from flatvae import flat_vae
from flatvae.errors import InputError
from flatvae.training import Settings, Trainer, accepted_hyperparameters, build_seeded, split_hyperparameters, train

D64 = torch.float64
BUILD = {"latent_dim": 2, "hidden": [8, 7], "prior_hidden": [6], "n_prior_samples": 3}
SETTINGS = {"bound": 0.5, "steps": 1000, "batch_size": 16, "beta_rate": 0.5, "initial_beta": 0.05, "alpha0": 0.2}
HYPERPARAMETERS = BUILD | SETTINGS
METHODS = {
    "vae": (vae, {}),
    "vhp_vae": (vhp_vae, {}),
    **{f"flat_vae {e}": (flat_vae, {"eta": 3.0, "estimator": e}) for e in flat_vae.ESTIMATORS},
    "scale_free": (flat_vae, {"eta": 1.0, "estimator": "forward_mode", "scale_free": True}),
}
methods = pytest.mark.parametrize(("module", "options"), METHODS.values(), ids=METHODS.keys())


def state_of(trainer: Trainer, index: int) -> dict[str, torch.Tensor]:
    return {name: value[index].detach().clone() for name, value in trainer.params.items()}


def assert_same(actual: dict, expected: dict, tolerance: float = 0.0) -> None:
    assert actual.keys() == expected.keys()
    for name in actual:
        torch.testing.assert_close(
            actual[name], expected[name], rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


def end_phase(trainer: Trainer, which) -> None:
    """Ends the initial phase of the seeds that ``which`` is true of."""
    ending = torch.tensor([which(seed) for seed in trainer.seeds], device=trainer.alive.device)
    trainer.bound.initial = trainer.bound.initial & ~ending


def run_fifty(trainer: Trainer) -> None:
    """Ten steps with all seeds in the initial phase, twenty with the even ones in it, twenty with none."""
    trainer.bound.end_initial_phase = lambda force: None  # the phases end where this function says
    trainer.run_block(10)
    del trainer.bound.end_initial_phase
    for which in (lambda seed: seed % 2 == 1, lambda seed: True):
        end_phase(trainer, which)
        for _ in range(20):
            trainer.step(trainer.objective)


def poison(trainer: Trainer, index: int, at_step: int) -> dict:
    """Makes the data of one seed NaN from a step on; returns a dictionary that gets its state before that step."""
    draw, before = trainer._draw, {}

    def poisoned():
        x, *noise = draw()
        if trainer.step_count >= at_step:
            before.update({} if before else state_of(trainer, index))
            x[index] = math.nan
        return (x, *noise)

    trainer._draw = poisoned
    return before


@methods
def test_seeds_together_equal_seeds_alone_beside_one_that_turns_nan(module, options, tiny):
    seeds = [3, 99, 12, 7]
    together = Trainer(module, tiny, HYPERPARAMETERS | options, seeds, dtype=D64)
    before = poison(together, seeds.index(99), at_step=23)
    run_fifty(together)
    assert together.alive.tolist() == [seed != 99 for seed in seeds]
    assert together.frozen_step.tolist() == [23 if seed == 99 else -1 for seed in seeds]
    assert_same(state_of(together, seeds.index(99)), before)
    assert all(value.isfinite().all() for value in before.values())
    assert together.bound.error.isfinite().all()
    assert together.bound.beta.isfinite().all()
    for index, seed in enumerate(seeds):
        if seed == 99:
            continue
        alone = Trainer(module, tiny, HYPERPARAMETERS | options, [seed], dtype=D64)
        run_fifty(alone)
        assert_same(state_of(together, index), state_of(alone, 0), 1e-8)
        assert together.bound.beta[index].item() == pytest.approx(alone.bound.beta.item(), abs=1e-8)
        assert together.bound.error[index].item() == pytest.approx(alone.bound.error.item(), abs=1e-8)


def test_nan_penalty_and_nan_parameters_freeze_their_seed_alone(tiny):
    """A penalty that is NaN for one seed, at its first step with the penalty on, and a seed whose weights are NaN."""

    def penalty(decode, z, noise):
        value = decode(z).square().mean()
        return torch.where((value - worst).abs() < 1e-9, math.nan, value)  # a captured step rounds otherwise

    worst = math.inf
    method = types.SimpleNamespace(__name__="method", build=vhp_vae.build, penalty=penalty)

    def run(seeds, spoil: bool):
        nonlocal worst
        trainer = Trainer(method, tiny, HYPERPARAMETERS, seeds, dtype=D64)
        if spoil:
            with torch.no_grad():
                trainer.params["decoder.0.weight"][0, 0, 0] = math.nan
        for step in range(12):
            end_phase(trainer, lambda seed, step=step: step == 4)
            if spoil and step == 6:  # find the second seed's penalty at this step, on a copy of the noise's state
                states = [g.get_state() for g in trainer.generators]
                x, noise, uniform, probe = trainer._draw()
                values = trainer._mapped(trainer.objective, "model.", trainer.params, x, noise, uniform, probe)[2]
                worst = values[1].item()
                for generator, state in zip(trainer.generators, states, strict=True):
                    generator.set_state(state)
                frozen_at = state_of(trainer, 1)
                trainer.captured.clear()  # what the penalty reads besides its arguments is not what it was
            trainer.step(trainer.objective)
        worst = math.inf
        return (trainer, frozen_at) if spoil else trainer

    spoiled, frozen_at = run([1, 2, 3], spoil=True)
    assert spoiled.frozen_step.tolist() == [0, 6, -1]
    assert_same(state_of(spoiled, 1), frozen_at)
    assert spoiled.params["decoder.0.weight"][0].isnan().sum() == 1
    assert_same(state_of(spoiled, 2), state_of(run([3], spoil=False), 0), 1e-8)


def plain_penalty(eta: float, scale_free: bool):
    """η E‖G − c²I‖², or over c⁴, from reverse-mode Jacobians."""

    def penalty(decode, z, noise):
        jacobian = vmap(jacrev(decode))(z)
        metric = jacobian.mT @ jacobian
        scale = torch.einsum("bii->", metric) / (metric.shape[0] * metric.shape[-1])
        value = ((metric - scale * torch.eye(metric.shape[-1], dtype=z.dtype)) ** 2).sum((1, 2)).mean()
        return eta * value / (scale**2 if scale_free else 1.0)

    return penalty


PLAIN = {
    "vae": (vae, {}, None),
    "vhp_vae": (vhp_vae, {}, None),
    "flat_vae": (flat_vae, {"eta": 3.0, "estimator": "forward_mode"}, plain_penalty(3.0, False)),
    "scale_free": (flat_vae, METHODS["scale_free"][1], plain_penalty(1.0, True)),
}


@pytest.mark.parametrize(("module", "options", "penalty"), PLAIN.values(), ids=PLAIN.keys())
def test_training_equals_a_plain_loop(module, options, penalty, tiny):
    """Ordinary module, autograd, torch.optim.Adam and clip_grad_norm_ (active), and REWO in floats, for 40 steps.

    Guards above all against fused Adam reading a gradient in another memory order than its parameter's.
    """
    settings = SETTINGS | {"clip": 2.0, "steps": 45, "decay_fraction": 0.5}
    hyperparameters = BUILD | settings | options
    trainer = Trainer(module, tiny, hyperparameters, [4, 11], dtype=D64)
    trainer.bound.bound = -1.0
    trainer.settings.__dict__["initial_fraction"] = 2.0
    trainer.run_block(10)
    trainer.bound.bound = settings["bound"]
    trainer.bound.end_initial_phase(force=True)
    trainer.run_block(30)
    build = split_hyperparameters(module, hyperparameters)[0]
    for index, seed in enumerate(trainer.seeds):
        plain = PlainTraining(module, tiny, build, settings, seed, penalty)
        values = [plain.step(initial=step < 10) for step in range(40)]
        assert max(plain.gradient_norms) > 2.0 > min(plain.gradient_norms)
        assert penalty is None or min(values[10:]) > 0
        assert_same(state_of(trainer, index), plain.model.state_dict(), 1e-8)
        assert trainer.bound.beta[index].item() == pytest.approx(plain.beta, abs=1e-8)
        assert trainer.bound.error[index].item() == pytest.approx(plain.average / plain.weight, abs=1e-8)


def test_seed_starts_from_its_own_weights_and_leaves_the_global_random_state(tiny):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    outcome = train(
        flat_vae, tiny, HYPERPARAMETERS | {"steps": 60, "estimator": "probe", "initial_fraction": 0}, [5, 8]
    )
    assert torch.equal(torch.get_rng_state(), before)
    build = split_hyperparameters(flat_vae, HYPERPARAMETERS)[0]
    torch.manual_seed(8)
    expected = flat_vae.build(tiny, **build).state_dict()
    assert_same(build_seeded(flat_vae, tiny, build, 8).state_dict(), expected)
    trainer = Trainer(flat_vae, tiny, HYPERPARAMETERS, [5, 8])
    assert_same(state_of(trainer, 1), expected)
    again = train(flat_vae, tiny, HYPERPARAMETERS | {"steps": 60, "estimator": "probe", "initial_fraction": 0}, [5, 8])
    assert_same(again.state, outcome.state)
    assert again.history.equals(outcome.history)


def test_prior_is_trained_after_the_initial_phase_alone(tiny):
    trainer = Trainer(vhp_vae, tiny, HYPERPARAMETERS | {"bound": 1e-9}, [0, 1], dtype=D64)
    start = {name: value.detach().clone() for name, value in trainer.params.items()}

    def moved(index: int) -> set[str]:
        return {
            name.split(".")[0] for name, v in trainer.params.items() if not torch.equal(v[index], start[name][index])
        }

    trainer.run_block(5)
    assert moved(0) == moved(1) == {"encoder", "decoder"}
    end_phase(trainer, lambda seed: seed == 1)
    trainer.step(trainer.objective)
    assert moved(0) == {"encoder", "decoder"}
    assert moved(1) == {"encoder", "decoder", "prior"}


def test_penalty_is_off_in_the_initial_phase(tiny):
    options = {"eta": 1e3, "estimator": "forward_mode", "bound": 1e-9}
    flat, plain = (Trainer(module, tiny, HYPERPARAMETERS | options, [0], dtype=D64) for module in (flat_vae, vhp_vae))
    for _ in range(5):
        flat.step(flat.objective)
        plain.step(plain.objective)
    assert_same(state_of(flat, 0), state_of(plain, 0), 1e-12)
    for trainer in (flat, plain):
        end_phase(trainer, lambda seed: True)
        trainer.step(trainer.objective)
    assert (flat.params["decoder.0.weight"] - plain.params["decoder.0.weight"]).abs().max() > 1e-5


def test_initial_phase_ends_at_its_limit_or_at_the_bound(tiny):
    settings = HYPERPARAMETERS | {"steps": 200, "initial_fraction": 0.5}
    never = train(vae, tiny, settings | {"bound": 1e-9}, [0])
    assert never.seeds[0]["initial_phase_end"] == 100
    assert never.history["initial"].tolist() == [1] * 50 + [0] * 50
    assert never.history["beta"].tolist()[:50] == pytest.approx([0.05] * 50)
    assert never.history["beta"].is_monotonic_decreasing
    at_once = train(vae, tiny, settings | {"bound": 1e3}, [0])
    assert at_once.seeds[0]["initial_phase_end"] == 2
    assert at_once.seeds[0]["beta"] > 0.05


def test_training_meets_its_bound_and_reports_the_scale_of_its_decoder(tiny):
    outcome = train(
        vae, tiny, HYPERPARAMETERS | {"steps": 600, "bound": 0.6, "learning_rate": 1e-2, "beta_rate": 0.1}, [0, 1]
    )
    for index, seed in enumerate(outcome.seeds):
        assert seed["error"] == pytest.approx(0.6, rel=0.1)
        assert 0.05 < seed["beta"] < 1
        model = build_seeded(vae, tiny, {"latent_dim": 2, "hidden": [8, 7]}, 0)
        model.load_state_dict({name: value[index] for name, value in outcome.state.items()})
        with torch.no_grad():
            jacobian = vmap(jacrev(model.decode))(model.encode(tiny.train))
        assert seed["scale"] == pytest.approx((jacobian**2).sum((1, 2)).mean().item() / 2, rel=0.35)


class _Recorder(TorchDispatchMode):
    """Records the operations that wait for the device."""

    waiting = ("_local_scalar_dense", "item", "is_nonzero", "nonzero", "equal", "_to_copy.host")

    def __init__(self):
        super().__init__()
        self.found: list[str] = []
        self.seen = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen += 1
        if function.overloadpacket.__name__ in self.waiting:
            self.found.append(str(function))
        return function(*args, **(kwargs or {}))


@methods
def test_a_step_never_waits_for_the_device(module, options, tiny, monkeypatch):
    trainer = Trainer(module, tiny, HYPERPARAMETERS | options, [0, 1])
    trainer.step(trainer.objective)
    end_phase(trainer, lambda seed: seed == 1)

    def forbidden(*_):
        raise AssertionError("a step of the training reads a tensor on the host")

    with monkeypatch.context() as patch:
        for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__"):
            patch.setattr(torch.Tensor, name, forbidden)
        trainer.step(trainer.objective)
    with _Recorder() as recorder:
        trainer.step(trainer.objective)
    assert recorder.seen > 100
    assert recorder.found == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@methods
def test_a_step_does_not_synchronise_a_gpu(module, options, tiny):
    trainer = Trainer(module, tiny, HYPERPARAMETERS | options, [0, 1], device="cuda", graphs=False)
    trainer.step(trainer.objective)
    end_phase(trainer, lambda seed: seed == 1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.step(trainer.objective)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_bernoulli_training_binarises_afresh(tiny_bernoulli):
    trainer = Trainer(vae, tiny_bernoulli, HYPERPARAMETERS | {"batch_size": 4096, "bound": 4.0}, [0, 1])
    first, second = trainer._draw()[0], trainer._draw()[0]
    for x in (first, second):
        assert set(x.unique().tolist()) == {0.0, 1.0}
        grey = tiny_bernoulli.train.mean(0)
        assert (x.mean(1) - grey).abs().max() < 5 * 0.5 / math.sqrt(4096)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_bernoulli_seeds_together_equal_seeds_alone(tiny_bernoulli):
    settings = HYPERPARAMETERS | {"bound": 3.0}
    together = Trainer(vae, tiny_bernoulli, settings, [0, 1, 2], dtype=D64)
    run_fifty(together)
    for index, seed in enumerate(together.seeds):
        alone = Trainer(vae, tiny_bernoulli, settings, [seed], dtype=D64)
        run_fifty(alone)
        assert_same(state_of(together, index), state_of(alone, 0), 1e-8)


def test_frozen_seed_is_reported_and_has_no_further_history(tiny, monkeypatch):
    start = Trainer.__init__

    def poisoned(self, *args, **kwargs):
        start(self, *args, **kwargs)
        poison(self, 1, at_step=70)

    monkeypatch.setattr(Trainer, "__init__", poisoned)
    outcome = train(vae, tiny, HYPERPARAMETERS | {"steps": 150}, [4, 9])
    assert [s["frozen_step"] for s in outcome.seeds] == [None, 70]
    assert all(math.isfinite(s[name]) for s in outcome.seeds for name in ("error", "beta"))
    assert outcome.history.groupby("seed")["step"].apply(list).to_dict() == {4: [*range(1, 151)], 9: [*range(1, 71)]}
    assert outcome.history.notna().all(axis=None)


def test_every_seed_non_finite_ends_the_training_and_keeps_what_there_is(tiny, monkeypatch, capsys):
    start = Trainer.__init__

    def poisoned(self, *args, **kwargs):
        start(self, *args, **kwargs)
        self.data = torch.full_like(self.data, math.nan)

    monkeypatch.setattr(Trainer, "__init__", poisoned)
    trained = train(vae, tiny, HYPERPARAMETERS | {"steps": 100}, [0, 1], label="pendulum/vae")
    assert "warning: pendulum/vae: every seed became non-finite by step 1;" in capsys.readouterr().out
    assert [s["frozen_step"] for s in trained.seeds] == [0, 0]
    assert all(torch.isfinite(value).all() for value in trained.state.values())
    assert trained.history.empty


@pytest.mark.parametrize(
    ("name", "value"),
    [("bound", math.nan), ("learning_rate", math.inf), ("steps", 0), ("batch_size", 1), ("beta_rate", -1)],
)
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(InputError, match=f"training: {name} is {value}; it must be"):
        Settings(**({"bound": 1.0, "steps": 10} | {name: value}))


def test_unknown_estimator_is_named(tiny):
    with pytest.raises(InputError, match="'hutchinson'"):
        train(flat_vae, tiny, HYPERPARAMETERS | {"steps": 100, "initial_fraction": 0, "estimator": "hutchinson"}, [0])


def test_hyperparameters_are_dealt_out_to_those_who_take_them():
    assert "eta" in accepted_hyperparameters(flat_vae)["penalty"]
    build, penalty, settings = split_hyperparameters(flat_vae, HYPERPARAMETERS | {"eta": 5.0, "elsewhere": 1})
    assert build == BUILD
    assert penalty == {"eta": 5.0}
    assert (settings.bound, settings.steps, settings.clip) == (0.5, 1000, 10.0)
    assert accepted_hyperparameters(vae)["penalty"] == set()
    with pytest.raises(InputError, match="bound and steps"):
        split_hyperparameters(vae, {"hidden": [3]})
