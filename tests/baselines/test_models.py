"""The baselines' own models: VampPrior, β of the β-VAE, PCA and the random encoder as methods."""

import json
import math

import pandas as pd
import pytest
import torch
from refusal import refused
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

import flatvae
from baselines import beta_vae, pca, random_encoder, vae, vamp_vae
from flatvae import geometry
from flatvae.checkpoint import metadata
from flatvae.errors import InputError
from flatvae.evaluation import reconstruction
from flatvae.training import Trainer, build_seeded, train, train_and_save

D64 = torch.float64
NETWORK = {"latent_dim": 2, "hidden": [8, 7]}
SETTINGS = {"bound": 1e-9, "steps": 100, "batch_size": 16, "initial_beta": 0.05, "beta_rate": 0.5}


def normal(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, dtype=D64, generator=torch.Generator().manual_seed(seed))


class TestVampPrior:
    @pytest.fixture
    def model(self, tiny):
        """Five components, drawn apart: the encoder's means ten times as far."""
        model = build_seeded(vamp_vae, tiny, NETWORK | {"pseudo_inputs": 5}, 0).double().requires_grad_(False)
        last = model.encoder.network[-1]
        last.weight[:2] *= 10
        return model

    def test_density_is_that_of_the_mixture_of_posteriors(self, model):
        mean, log_variance = model.encoder(model.prior.pseudo_inputs)
        components = Independent(Normal(mean, (log_variance / 2).exp()), 1)
        expected = MixtureSameFamily(Categorical(torch.ones(5, dtype=D64)), components)
        z = 3 * normal(50, 2)
        torch.testing.assert_close(model.prior.log_density(z, z[:, :0]), expected.log_prob(z))

    def test_samples_are_of_the_mixture(self, model):
        samples = model.prior.sample(normal(200_000, 4))
        mean, log_variance = model.encoder(model.prior.pseudo_inputs)
        torch.testing.assert_close(samples.mean(0), mean.mean(0), rtol=0, atol=0.03)
        expected = torch.cov(mean.T, correction=0) + log_variance.exp().mean(0).diag()
        assert mean.std() > log_variance.exp().mean().sqrt()
        torch.testing.assert_close(torch.cov(samples.T), expected, rtol=0.03, atol=0.03)

    def test_the_encoder_is_there_once_and_the_prior_follows_it(self, model, tiny):
        model.requires_grad_(True)
        names = [name for name, _ in model.named_parameters()]
        assert [name for name in names if name.startswith("prior.")] == ["prior.pseudo_inputs"]
        assert set(names) == set(model.state_dict())
        gradients = torch.autograd.grad(
            model.prior.log_density(normal(3, 2), None).sum(), list(model.parameters()), allow_unused=True
        )
        touched = {name.split(".")[0] for name, g in zip(names, gradients, strict=True) if g is not None}
        assert touched == {"encoder", "prior"}

    def test_pseudo_inputs_start_at_training_data_and_come_back_with_the_checkpoint(self, model, tiny):
        rows = {tuple(row) for row in tiny.train.tolist()}
        assert all(tuple(row) in rows for row in model.prior.pseudo_inputs.float().tolist())
        empty = flatvae.datasets.Dataset.from_description(tiny.description())
        assert vamp_vae.build(empty, pseudo_inputs=5).prior.pseudo_inputs.shape == (5, 6)
        with pytest.raises(InputError, match="pseudo_inputs is 0"):
            vamp_vae.build(tiny, pseudo_inputs=0)


class TestBeta:
    def test_the_value_is_the_kl_and_the_gradient_beta_times_its(self, tiny):
        plain, weighted = (
            build_seeded(module, tiny, NETWORK | own, 0) for module, own in ((vae, {}), (beta_vae, {"beta": 4.0}))
        )
        noise = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
        for name, factor in (("error", 1.0), ("kl", 4.0)):
            values, gradients = [], []
            for model in (plain, weighted):
                value = getattr(model(tiny.train, noise), name).mean()
                values.append(value)
                gradients.append(torch.autograd.grad(value, model.encoder.network[0].weight)[0])
            assert values[0] == values[1]
            torch.testing.assert_close(gradients[1], factor * gradients[0])

    def test_a_constant_beta_is_absorbed_by_the_multiplier(self, tiny):
        """m β = 0.05 · 4 = 0.2: in the initial phase, where m is constant, the same training to the last bit."""
        states = []
        for module, own in ((vae, {"initial_beta": 0.2}), (beta_vae, {"beta": 4.0})):
            trainer = Trainer(module, tiny, NETWORK | SETTINGS | own, [0, 1], dtype=D64)
            trainer.run_block(20)
            states.append(trainer.params)
        for name, value in states[0].items():
            torch.testing.assert_close(states[1][name], value, rtol=0, atol=1e-10)

    def test_held_at_one_the_multiplier_leaves_beta_as_it_is(self, tiny):
        fixed = {"initial_beta": 1.0, "beta_rate": 0, "initial_fraction": 0.0}
        outcome = train(beta_vae, tiny, NETWORK | SETTINGS | fixed | {"bound": 0.5}, [0])
        assert set(outcome.history["beta"]) == {1.0}
        assert [seed["settling"] for seed in outcome.seeds] == [None]

    @pytest.mark.parametrize("beta", [0.0, -1.0, math.inf, math.nan])
    def test_beta_out_of_range_is_named(self, tiny, beta):
        with pytest.raises(InputError, match=f"beta_vae: beta is {beta}; it must be finite and > 0"):
            beta_vae.build(tiny, beta=beta)


class TestPrincipalComponents:
    def test_the_metric_is_the_identity_to_rounding(self, tiny):
        model = pca.fit(tiny, seed=0, latent_dim=3).double()
        metric = geometry.pullback_metric(model.decode, 10 * normal(20, 3))
        torch.testing.assert_close(metric, torch.eye(3, dtype=D64).expand(20, 3, 3), rtol=0, atol=1e-6)
        assert geometry.condition_number(metric).max() < 1 + 1e-6

    def test_codes_are_the_descriptor_s_and_the_error_is_what_the_other_components_hold(self, tiny):
        model = pca.fit(tiny, seed=0, latent_dim=3).double()
        x = tiny.train.double()
        torch.testing.assert_close(model.encode(x), pca.descriptor(tiny, latent_dim=3)(x), rtol=0, atol=1e-5)
        variances = torch.linalg.eigvalsh(torch.cov(x.T, correction=0))  # ascending
        error = (x - model.decode(model.encode(x))).square().sum(1).mean()
        assert error.item() == pytest.approx(variances[:3].sum().item(), rel=1e-4)

    def test_prior_and_posterior_are_those_of_probabilistic_pca(self, tiny):
        """With p(x|z) = N(f(z), σ² I) the marginal's covariance in the components is Λ, and beside them σ² I."""
        model = pca.fit(tiny, seed=0, latent_dim=3).double()
        variances = torch.linalg.eigvalsh(torch.cov(tiny.train.double().T)).flip(0)
        left_out = variances[3:].mean()
        _, log_variance = model.encoder(tiny.test.double())
        torch.testing.assert_close(log_variance.exp(), left_out.expand(24, 3), rtol=1e-5, atol=0)
        found = model.prior.log_variance.exp() + left_out
        torch.testing.assert_close(found, variances[:3], rtol=1e-5, atol=0)
        z = normal(5, 3)
        expected = MultivariateNormal(torch.zeros(3, dtype=D64), (variances[:3] - left_out).diag()).log_prob(z)
        torch.testing.assert_close(model.prior.log_density(z, None), expected, rtol=1e-4, atol=1e-4)

    def test_the_mean_of_bernoulli_data_is_the_affine_one_clipped(self, tiny_bernoulli):
        model = pca.fit(tiny_bernoulli, seed=0, latent_dim=2).double()
        z = 5 * model.encode(tiny_bernoulli.test.double())
        layer = model.decoder[0]
        affine = z @ layer.weight.T + layer.bias
        assert affine.min() < 0 < 1 < affine.max()
        torch.testing.assert_close(model.decode(z), affine.clamp(0.01, 0.99))

    def test_more_components_than_there_are_is_refused(self, tiny):
        assert "6 components" in refused(lambda: pca.fit(tiny, seed=0, latent_dim=7))
        assert "6 components" in refused(lambda: pca.descriptor(tiny, latent_dim=7))


def test_the_random_encoder_is_the_vae_before_its_first_step(tiny):
    model, expected = random_encoder.fit(tiny, seed=5, **NETWORK), build_seeded(vae, tiny, NETWORK, 5)
    assert all(torch.equal(value, expected.state_dict()[name]) for name, value in model.state_dict().items())
    torch.testing.assert_close(model.encode(tiny.test), random_encoder.descriptor(tiny, seed=5, **NETWORK)(tiny.test))


def test_what_is_made_by_fit_is_stored_as_what_is_trained(tiny, tmp_path, capsys):
    """One row of history per seed at step 0; Ĉ and c² measured; no bound was asked for, and nothing can have settled."""
    paths = {
        f"{n}_path": tmp_path / f for n, f in (("model", "m.safetensors"), ("history", "h.csv"), ("metrics", "t.csv"))
    }
    settings = {"bound": 1.0, "steps": 100, "latent_dim": 3}
    train_and_save("baselines.pca", tiny, settings, [0, 4], device="cpu", label="tiny/pca", **paths)
    assert "tiny/pca: made by baselines.pca.fit, not trained" in capsys.readouterr().out
    model = flatvae.load(paths["model_path"], 4)
    noise = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        error = model(tiny.train, noise).error.mean().item()
    for seed in metadata(paths["model_path"])["seeds"]:
        assert seed["error"] == pytest.approx(error, rel=0.1)
        assert seed["scale"] == pytest.approx(1, rel=0.05)
        assert (seed["frozen_step"], seed["initial_phase_end"], seed["beta"], seed["settling"]) == (None,) * 4
    history = pd.read_csv(paths["history_path"])
    assert history[["seed", "step", "initial"]].values.tolist() == [[0, 0, 0], [4, 0, 0]]
    rows = pd.read_csv(paths["metrics_path"]).set_index(["metric", "seed"])["value"]
    assert rows["frozen", 4] == 0
    assert set(rows.index) == {(metric, seed) for metric in ("frozen", "scale_average") for seed in (0, 4)}
    found = {metric for _, metric, _ in reconstruction.evaluate(model, tiny).metrics}
    assert found == {"train_error", "test_error", "bound", "kl"}
    json.dumps(metadata(paths["model_path"]), allow_nan=False)
