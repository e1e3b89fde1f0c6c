"""The flat VAE in the manner of scikit-learn, for data of one's own: fit, transform, inverse_transform, score_samples.

::

    from flatvae import FlatVAE

    space = FlatVAE(latent_dim=2).fit(X)
    Z = space.transform(X)  # here Euclidean distance is distance on the data's manifold
"""

import contextlib
import io
import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from flatvae import checkpoint, flat_vae, geometry, training
from flatvae.constraint import TOLERANCE
from flatvae.datasets import Dataset
from flatvae.errors import InputError
from flatvae.evaluation import encode
from flatvae.evaluation.likelihood import log_marginal

_SAMPLES, _PRIOR_SAMPLES = 512, 10  # of importance sampling in score_samples


class FlatVAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A latent space in which straight lines are shortest paths (Chen et al., ICML 2020), learned from rows of numbers.

    The data are centred and divided by one number, the root of the mean variance of the features, so that features in
    like units keep their proportions (bring unlike ones to one scale before, as by StandardScaler). The model is then
    trained with a Gaussian likelihood under the bound E‖x − f(z)‖² ≤ ``unexplained`` · E‖x‖².

    Args:
        latent_dim: n.
        unexplained: share of the variance that the reconstruction may leave unexplained, in (0, 1): κ² = unexplained · D.
        eta: weight η of the flat penalty; the larger, the flatter, until the bound is not met any more. 0: none.
        scale_free: the penalty R / c⁴ (see ``flatvae.flat_vae``), which needs no tuning to the data's scale; the paper's R where
            False, which takes a far larger η.
        steps, batch_size, learning_rate: of Adam.
        hidden: widths of the encoder's hidden layers; the decoder has them in reverse.
        activation: ``tanh``, ``softplus``, ``silu`` or ``gelu``.
        device: ``cpu``, ``cuda`` or ``auto``.
        random_state: int, RandomState or None, as everywhere in scikit-learn.
        verbose: whether to print the training's progress; a terminal shows a bar in any case.

    Attributes:
        model_: the trained ``LatentVariableModel``, in float64.
        bound_met_: whether the bound was met at the end (within 2 %). Where it was not, fit() warns; take more steps, a
            larger ``unexplained`` or ``latent_dim``, or a smaller ``eta``.
        unexplained_: the share that was left at the end of training, with sampled codes.
        history_: table of the training.
        mean_, scale_: of the data.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    sklearn.utils.estimator_checks.check_estimator passes.
    """

    def __init__(
        self,
        latent_dim: int = 2,
        *,
        unexplained: float = 0.1,
        eta: float = 100.0,
        scale_free: bool = True,
        steps: int = 3000,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        hidden: Sequence[int] = (128, 128),
        activation: str = "tanh",
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.latent_dim = latent_dim
        self.unexplained = unexplained
        self.eta = eta
        self.scale_free = scale_free
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.hidden = hidden
        self.activation = activation
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None) -> "FlatVAE":
        """Trains on the rows of X (N, D); y is passed over.

        Raises:
            InputError: a hyperparameter out of its range.
            ValueError: X is not a finite table of numbers with two or more rows.
        """
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        self._check()
        self.mean_ = X.mean(0)
        self.scale_ = float(np.sqrt(X.var(0).mean())) or 1.0
        dataset = self._dataset(torch.from_numpy((X - self.mean_) / self.scale_).float())
        seed = int(check_random_state(self.random_state).randint(2**31))
        with contextlib.nullcontext() if self.verbose else contextlib.redirect_stdout(io.StringIO()):
            device = training.choose_device(self.device)
            trained = training.train(flat_vae, dataset, self._hyperparameters(), [seed], device=device, label="FlatVAE")
        (found,) = trained.seeds
        if found["frozen_step"] is not None:
            raise InputError(
                f"FlatVAE: training became non-finite at step {found['frozen_step']}; lower learning_rate or eta"
            )
        self.history_ = trained.history
        self.unexplained_ = found["error"] / X.shape[1]
        self.bound_met_ = self.unexplained_ <= TOLERANCE * self.unexplained
        self._keep(dataset, {name: value[0] for name, value in trained.state.items()})
        if not self.bound_met_:
            warnings.warn(
                f"FlatVAE: {self.unexplained_:.3g} of the variance is unexplained and not {self.unexplained:g}; take more "
                "steps, a larger unexplained or latent_dim, or a smaller eta",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def transform(self, X) -> np.ndarray:
        """Codes, the means of q(z|x): (N, D) -> (N, n)."""
        return encode(self.model_, self._scaled(X)).numpy()

    def inverse_transform(self, X) -> np.ndarray:
        """Decoded means f(z) in the data's units: codes (N, n) -> (N, D)."""
        check_is_fitted(self)
        codes = torch.as_tensor(np.asarray(X, dtype=np.float64))
        if codes.ndim != 2 or codes.shape[1] != self.latent_dim:
            raise ValueError(f"codes have the shape {tuple(codes.shape)}; they must be (N, {self.latent_dim})")
        with torch.no_grad():
            return self.model_.decode(codes).numpy() * self.scale_ + self.mean_

    def score_samples(self, X) -> np.ndarray:
        """log p(x) in nats by importance sampling, with the likelihood's variance that the bound stands for: (N, D) -> (N,).

        The same noise serves every row, so that a row's value does not depend on the others.
        """
        rows = self._scaled(X)
        each = [
            log_marginal(
                self.model_, row, self.unexplained, _SAMPLES, _PRIOR_SAMPLES, torch.Generator().manual_seed(0)
            ).log_density
            for row in rows.split(1)
        ]
        return torch.cat(each).numpy() - rows.shape[1] * np.log(self.scale_)  # of x itself, not of x / scale

    def score(self, X, y=None) -> float:
        """Mean of score_samples()."""
        return float(self.score_samples(X).mean())

    def condition_number(self, X) -> np.ndarray:
        """λ_max / λ_min of the pull-back metric at the codes of X: (N, D) -> (N,); 1 where the space is flat."""
        with torch.no_grad():
            metric = geometry.pullback_metric(self.model_.decode, encode(self.model_, self._scaled(X)))
            return geometry.condition_number(metric).numpy()

    @classmethod
    def from_results(cls, path: str | Path, seed: int = 0) -> "FlatVAE":
        """A fitted estimator around a model of a run, as {results_dir}/{dataset}/{method}/model.safetensors.

        Observations are those of the data set, not scaled here; score_samples is for Gaussian likelihoods as the task
        ``likelihood`` has it. Methods of the run other than the flat VAE serve as well.

        Raises:
            InputError: as ``flatvae.load``.
        """
        model = checkpoint.load(path, seed)
        content = model.config
        size = int(np.prod(content["dataset"]["shape"]))
        known = {**content["build"], **content["penalty"], **content["training"]}
        own = {name: known[name] for name in cls._get_param_names() if name in known}
        estimator = cls(**own | {"unexplained": content["training"]["bound"] / size, "random_state": seed})
        estimator.n_features_in_ = size
        estimator.mean_, estimator.scale_ = np.zeros(size), 1.0
        estimator.model_ = model.double()
        estimator._n_features_out = model.latent_dim
        return estimator

    def _hyperparameters(self) -> dict:
        own = self.get_params(deep=False)
        names = ("latent_dim", "eta", "scale_free", "steps", "batch_size", "learning_rate", "hidden", "activation")
        settings = {name: own[name] for name in names}
        estimator = "forward_mode" if self.latent_dim <= 3 else "probe"  # where columns cost less than two products
        bound = self.unexplained * self.n_features_in_
        return settings | {"bound": bound, "beta_rate": 0.2, "estimator": estimator}

    def _check(self) -> None:
        for name in ("latent_dim", "steps", "batch_size"):
            if not isinstance(getattr(self, name), Integral) or getattr(self, name) < 1:
                raise InputError(f"FlatVAE: {name} is {getattr(self, name)!r}; it must be a whole number ≥ 1")
        for name in ("unexplained", "eta", "learning_rate"):
            if not isinstance(getattr(self, name), Real):
                raise InputError(f"FlatVAE: {name} is {getattr(self, name)!r}; it must be a number")
        if not isinstance(self.hidden, Sequence) or not all(isinstance(width, Integral) for width in self.hidden):
            raise InputError(f"FlatVAE: hidden is {self.hidden!r}; it must be a list of whole numbers")
        if not 0 < self.unexplained < 1:
            raise InputError(f"FlatVAE: unexplained is {self.unexplained}; it must be inside (0, 1)")
        if not 0 <= self.eta < np.inf:
            raise InputError(f"FlatVAE: eta is {self.eta}; it must be finite and ≥ 0")

    def _dataset(self, rows: torch.Tensor) -> Dataset:
        none = rows[:0]
        return Dataset("own", rows, none, none, likelihood="gaussian", shape=(rows.shape[1],))

    def _keep(self, dataset: Dataset, state: dict) -> None:
        build = training.split_hyperparameters(flat_vae, self._hyperparameters())[0]
        model = training.build_seeded(flat_vae, dataset, build, 0)
        model.load_state_dict(state)
        self.model_ = model.double().requires_grad_(False).eval()
        self._n_features_out = self.latent_dim

    def _scaled(self, X) -> torch.Tensor:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return torch.from_numpy((X - self.mean_) / self.scale_)
