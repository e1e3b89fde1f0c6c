"""The flat VAE as a scikit-learn estimator for your own data: fit, transform, inverse_transform, score_samples.

::

    from flatvae import FlatVAE

    space = FlatVAE(latent_dim=2, random_state=0).fit(X)
    Z = space.transform(X)
    print(space.summary())  # is it flat, and is it faithful?
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from flatvae import checkpoint, flat_vae, geometry, training
from flatvae.constraint import TOLERANCE
from flatvae.diagnostics import Report, report
from flatvae.errors import InputError
from flatvae.estimator import file, warnings
from flatvae.estimator.automatic import Search, own_dataset
from flatvae.estimator.input import centre_and_scale, check
from flatvae.estimator.progress import Lines
from flatvae.estimator.quantiles import Quantiles
from flatvae.evaluation import encode, posterior
from flatvae.evaluation.likelihood import log_marginal_of_rows

_SAMPLES, _PRIOR_SAMPLES = 512, 10  # importance samples in score_samples
_REPORTED, _MEASURED = 2_000, 10_000  # rows for the diagnostics, and for the error
_CHUNK = 2_048
# schedules of multiplier and learning rate; with ν = 0.4 the errors of S-curve and Swiss roll oscillate by half their size
_SCHEDULE = {"beta_rate": 0.1, "initial_beta": 1e-2, "decay_fraction": 0.5}
_NODES, _NEIGHBOURS = 1_000, 20  # in the graph for geodesics


class FlatVAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A latent space whose metric is the same everywhere and in all directions (Chen et al., ICML 2020), from rows of numbers.

    The data are centred and divided by one number, the root of the features' mean variance, so that features in the same unit
    keep their proportions (scale features in different units first, for example with StandardScaler). The model is then trained
    with a Gaussian likelihood under the bound E‖x − f(z)‖² ≤ ``unexplained`` · E‖x‖².

    **Flat is not faithful.** In a flat space a short step is as long among the data as among the codes, up to one factor. A
    space can be flat and still lay distant sheets of the data on one another. ``trustworthiness_`` and
    ``graph_rank_correlation_`` measure this, and ``fit`` warns of it (``flatvae.estimator.warnings``).

    Args:
        latent_dim: n, at most the number of columns.
        unexplained: share of the variance that the reconstruction may leave unexplained, in (0, 1): κ² = unexplained · D.
            ``auto``: between the shares that PCA and a short free training leave (see ``flatvae.estimator.automatic``).
        eta: weight η of the flat penalty; the larger, the flatter; 0 is no penalty. ``auto``: the least of 1, 3, …, 300 that
            gives a flat space in a short training.
        init: ``isomap`` starts with networks that map the data to Isomap's codes, ``random`` with random networks; ``auto``
            takes the start from which a short free training reconstructs better.
        scale_free: True: the penalty R / c⁴ (see ``flatvae.flat_vae``), which needs no tuning to the data's scale. False: the
            paper's R, which needs a far larger η; ``eta`` must then be a number.
        steps, batch_size, learning_rate: Adam's.
        shorten: skips the remaining steps at the constant learning rate once the bound holds and k has converged.
        hidden: widths of the encoder's hidden layers; the decoder has them in reverse.
        activation: ``tanh``, ``softplus``, ``silu`` or ``gelu``.
        device: ``cpu``, ``cuda`` or ``auto``.
        random_state: int, RandomState or None, as everywhere in scikit-learn.
        verbose: whether to show the training's progress: a bar on a terminal, elsewhere a line every few seconds.

    ``auto`` runs short trainings on at most 10,000 rows; together they take about as long as 1.5 fits of 3,000 steps.

    Attributes:
        model_: the trained ``LatentVariableModel``, in float64.
        bound_: the share of the variance that may stay unexplained; ``eta_``: the weight; ``tried_``: table of the trainings that
            chose both.
        unexplained_: the share that codes sampled from q(z|x) leave unexplained, on at most 10,000 rows.
        bound_met_: whether ``unexplained_`` is at most 2 % above ``bound_``. Flatness is enforced only then.
        condition_number_: λ_max / λ_min of the metric over codes, as (``median``, ``q90``); 1 where the space is flat.
        metric_deviation_: median of ‖G − c² I‖ / (c² √n); 0 where the space is flat.
        trustworthiness_: 1 where neighbours among codes are neighbours among the data (k = 10); None for 20 rows or fewer.
        graph_rank_correlation_: 1 where distances between codes rank pairs as shortest paths along the data do.
        active_dimensions_: number of the n dimensions that are in use.
        report_: these and further quantities from ``flatvae.report``, on at most 2,000 rows.
        nodes_: codes of at most 1,000 rows, for geodesics.
        history_: table of the training.
        mean_, scale_: the data's mean and scale.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    Fits may run in threads. sklearn.utils.estimator_checks.check_estimator passes.
    """

    def __init__(
        self,
        latent_dim: int = 2,
        *,
        unexplained: float | str = "auto",
        eta: float | str = "auto",
        init: str = "auto",
        scale_free: bool = True,
        steps: int = 3000,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        shorten: bool = True,
        hidden: Sequence[int] = (128, 128),
        activation: str = "tanh",
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
    ):
        self.latent_dim = latent_dim
        self.unexplained = unexplained
        self.eta = eta
        self.init = init
        self.scale_free = scale_free
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.shorten = shorten
        self.hidden = hidden
        self.activation = activation
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None) -> "FlatVAE":
        """Trains on the rows of X (N, D); ignores y.

        Warns:
            BoundMissedWarning, NotFlatWarning, FoldedWarning: see ``flatvae.estimator.warnings``.

        Raises:
            InputError: a hyperparameter is out of its range.
            ValueError: X is not a finite table of numbers with two or more rows.
        """
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        check(self)
        self.mean_, self.scale_, constant = centre_and_scale(X)
        rows = torch.from_numpy((X - self.mean_) / self.scale_).float()
        seed = int(check_random_state(self.random_state).randint(2**31))
        device, say = training.choose_device(self.device), Lines() if self.verbose else None
        given = {name: None if value == "auto" else value for name, value in self._automatic().items()}
        choice = Search(rows, self._hyperparameters(), seed, device, say).choose(self.init, **given)
        self.bound_, self.eta_, self.tried_ = choice.unexplained, choice.eta, choice.tried
        trained = training.train(
            flat_vae,
            own_dataset(rows),
            self._hyperparameters() | {"bound": self.bound_ * X.shape[1], "eta": self.eta_},
            [seed],
            device=device,
            label="FlatVAE",
            say=say,
            start={name: value[None] for name, value in choice.start.items()} if choice.start else None,
            shorten=self.shorten,
        )
        (found,) = trained.seeds
        if found["frozen_step"] is not None:
            raise InputError(
                f"FlatVAE: training became non-finite at step {found['frozen_step']}; lower learning_rate or eta"
            )
        self.history_ = trained.history
        self._keep(rows, {name: value[0] for name, value in trained.state.items()})
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(rows)))
        self.unexplained_ = self._unexplained(rows[order[:_MEASURED]].double(), seed)
        self.bound_met_ = self.unexplained_ <= TOLERANCE * self.bound_
        self._diagnose(rows[order[:_REPORTED]].double())
        if not constant:  # equal rows have no structure to judge
            warnings.judge(self)
        return self

    def transform(self, X) -> np.ndarray:
        """Codes, the means of q(z|x): (N, D) -> (N, n)."""
        return encode(self.model_, self._scaled(X)).numpy()

    def inverse_transform(self, X) -> np.ndarray:
        """Decoded means f(z) in the data's units: codes (N, n) -> (N, D)."""
        with torch.no_grad():
            return self.model_.decode(self._codes(X)).numpy() * self.scale_ + self.mean_

    def score_samples(self, X) -> np.ndarray:
        """log p(x) in nats by importance sampling, with the variance κ²/D that the bound implies: (N, D) -> (N,).

        It uses 512 samples a row and the same noise for every row, so a row's value does not depend on the others.
        """
        rows, source = self._scaled(X), torch.Generator().manual_seed(0)
        estimate = log_marginal_of_rows(self.model_, rows, self.bound_, _SAMPLES, _PRIOR_SAMPLES, source)
        return estimate.log_density.numpy() - rows.shape[1] * np.log(self.scale_)  # of x itself, not of x / scale

    def score(self, X, y=None) -> float:
        """Mean of score_samples()."""
        return float(self.score_samples(X).mean())

    def condition_number(self, X) -> np.ndarray:
        """λ_max / λ_min of the pull-back metric at the codes of X: (N, D) -> (N,); 1 where the space is flat."""
        with torch.no_grad():
            metric = geometry.pullback_metric(self.model_.decode, encode(self.model_, self._scaled(X)))
            return geometry.condition_number(metric).numpy()

    def geodesic(self, a, b) -> np.ndarray:
        """The shortest curve found between two codes, at equal parameter steps: (n,), (n,) -> (T, n)."""
        ends = [self._codes(np.asarray(end, dtype=np.float64)[None])[0] for end in (a, b)]
        return self._geodesics().path(*ends).numpy()

    def geodesic_distances(self, A, B) -> np.ndarray:
        """Lengths, in the data's units, of the shortest curves found between codes: (A, n), (B, n) -> (A, B)."""
        return self._geodesics().pairwise(self._codes(A), self._codes(B)).numpy() * self.scale_

    def plot(self, X, joined: Sequence[tuple[int, int]] = ()):
        """Plots the codes of X and the metric there; for n = 2 also geodesics between pairs of rows of X.

        Args:
            X: rows (N, D).
            joined: pairs of row numbers.

        Returns:
            a matplotlib ``Figure``.
        """
        codes = self.transform(X)
        figure = report(self.model_.decode, torch.from_numpy(codes), geodesics=False).plot()
        if self.latent_dim == 2:
            for i, j in joined:
                figure.axes[0].plot(*self.geodesic(codes[i], codes[j]).T, color="tab:red", linewidth=1.5)
        return figure

    def summary(self) -> Report:
        """The fit's diagnostics on at most 2,000 rows of its data: print it, or call its ``table()`` for a DataFrame."""
        check_is_fitted(self, "report_")
        return self.report_

    def save(self, path: str | Path) -> None:
        """Writes the fitted estimator to a .safetensors file, which holds no code and runs none when it is read."""
        check_is_fitted(self)
        file.save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> "FlatVAE":
        """The estimator that ``save`` wrote; without ``history_``, ``tried_`` and ``report_``.

        Raises:
            InputError: the file does not exist, is damaged, or was not written by ``save``.
        """
        return file.load(cls, path)

    @classmethod
    def from_results(cls, path: str | Path, seed: int = 0) -> "FlatVAE":
        """A fitted estimator from a run's model, {results_dir}/{dataset}/{method}/model.safetensors.

        Observations are the data set's own, not scaled here. For Gaussian likelihoods score_samples uses the variance of the
        task ``likelihood``. Any trained method of the run will do. The estimator has no diagnostics (see ``flatvae.report``) and
        no nodes for geodesics.

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
        estimator.bound_, estimator.eta_ = estimator.unexplained, known.get("eta", 0.0)
        estimator.model_ = model.double()
        estimator._n_features_out = model.latent_dim
        return estimator

    def _automatic(self) -> dict:
        return {"unexplained": self.unexplained, "eta": self.eta}

    def _hyperparameters(self) -> dict:
        own = self.get_params(deep=False)
        names = ("latent_dim", "scale_free", "steps", "batch_size", "learning_rate", "hidden", "activation")
        estimator = "forward_mode" if self.latent_dim <= 3 else "probe"  # n ≤ 3: columns are cheaper
        return {name: own[name] for name in names} | {"estimator": estimator, **_SCHEDULE}

    def _keep(self, rows: torch.Tensor, state: dict) -> None:
        build = training.split_hyperparameters(flat_vae, self._hyperparameters() | {"bound": 1.0})[0]
        model = training.build_seeded(flat_vae, own_dataset(rows), build, 0)
        model.load_state_dict(state)
        self.model_ = model.double().requires_grad_(False).eval()
        self._n_features_out = self.latent_dim

    @torch.no_grad()
    def _unexplained(self, rows: torch.Tensor, seed: int) -> float:
        """Share of the variance that codes sampled from q(z|x) leave unexplained."""
        source = torch.Generator().manual_seed(seed)
        chunks = rows.split(_CHUNK)
        noise = (torch.randn(len(x), self.model_.noise_size, generator=source, dtype=x.dtype) for x in chunks)
        error = sum(self.model_(x, drawn).error.sum().item() for x, drawn in zip(chunks, noise, strict=True))
        return error / rows.numel()

    def _diagnose(self, rows: torch.Tensor) -> None:
        codes, log_variances = posterior(self.model_, rows)
        self.nodes_ = codes[:_NODES].numpy()
        found = report(self.model_.decode, codes, rows, log_variances=log_variances, geodesics=False)
        self.report_: Report = found
        self.condition_number_ = Quantiles(found.condition_number, found.condition_number_q90)
        self.metric_deviation_ = found.metric_deviation
        self.trustworthiness_ = found.trustworthiness
        self.graph_rank_correlation_ = found.graph_rank_correlation
        self.active_dimensions_ = found.active_dimensions

    def _geodesics(self) -> geometry.GeodesicDistance:
        check_is_fitted(self)
        if not hasattr(self, "nodes_"):
            raise InputError("FlatVAE: an estimator from a run has no nodes_ for geodesics; set nodes_ to codes (M, n)")
        nodes = torch.from_numpy(self.nodes_)
        return geometry.GeodesicDistance(self.model_.decode, nodes, min(_NEIGHBOURS, len(nodes) - 1))

    def _codes(self, codes) -> torch.Tensor:
        check_is_fitted(self)
        codes = torch.as_tensor(np.asarray(codes, dtype=np.float64))
        if codes.ndim != 2 or codes.shape[1] != self.latent_dim:
            raise ValueError(f"codes have the shape {tuple(codes.shape)}; they must be (N, {self.latent_dim})")
        return codes

    def _scaled(self, X) -> torch.Tensor:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return torch.from_numpy((X - self.mean_) / self.scale_)


def flatness_score(estimator: FlatVAE, X, y=None) -> float:
    """A scorer for scikit-learn's model selection: 1 / median k at the codes of X, in [0, 1]; 1 where the space is flat.

    ::

        GridSearchCV(FlatVAE(), {"unexplained": [0.05, 0.1, 0.2]}, scoring=flatness_score)
    """
    return float(1 / np.median(estimator.condition_number(X)))
