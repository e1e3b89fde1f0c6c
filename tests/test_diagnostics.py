"""The report on a trained decoder: against decoders whose geometry is known, and what it refuses."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_swiss_roll
from torch import nn

import flatvae
from flatvae import InputError
from flatvae.diagnostics import graph_rank_correlation, trustworthiness
from flatvae.geometry import GeodesicDistance

D64 = torch.float64


def points(rows: int = 300, n: int = 2) -> torch.Tensor:
    return torch.rand(rows, n, dtype=D64, generator=torch.Generator().manual_seed(0)) * 4 - 2


def isometry(size: int = 7, n: int = 2) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(size, n, dtype=D64, generator=torch.Generator().manual_seed(1)))[0].mT


def test_an_isometry_is_ideal_in_every_way():
    basis, codes = isometry(), points()
    found = flatvae.report(lambda z: z @ basis, codes, codes @ basis, log_variances=torch.full_like(codes, -6.0))
    for name in ("condition_number", "condition_number_q90", "condition_number_mixup", "length_ratio"):
        assert getattr(found, name) == pytest.approx(1, abs=1e-6), name
    for name in ("metric_deviation", "log_mf_std", "second_difference", "velocity_cv", "unexplained"):
        assert getattr(found, name) == pytest.approx(0, abs=1e-6), name
    assert found.active_dimensions == 2
    assert found.trustworthiness == 1
    assert found.graph_rank_correlation > 0.98


def test_a_stretch_has_the_condition_number_of_its_squares():
    stretch = torch.tensor([[1.0], [2.0], [3.0]], dtype=D64) * isometry(9, 3)
    found = flatvae.report(lambda z: z @ stretch, points(n=3), geodesics=False)
    assert found.condition_number == pytest.approx(9)
    deviation = math.sqrt(sum((s - 14 / 3) ** 2 for s in (1, 4, 9)) / 3) / (14 / 3)
    assert found.metric_deviation == pytest.approx(deviation)
    assert found.length_ratio is None
    assert found.map is None


def test_a_circle_bends_its_lines():
    """Lines along it are arcs at even speed; |f″| / length on an arc of angle a is a² / a, the mean |a| of the pairs."""
    codes = points(400, 1)
    found = flatvae.report(lambda z: torch.cat([z.cos(), z.sin()], dim=1), codes, geodesics=False)
    assert found.condition_number == 1
    assert found.velocity_cv == pytest.approx(0, abs=1e-6)
    assert found.second_difference == pytest.approx(4 / 3, rel=0.15)  # the mean distance of two points of [−2, 2]


def test_a_sheet_that_is_folded_is_flat_and_not_faithful():
    data, place = make_swiss_roll(800, random_state=0)
    unrolled = np.stack([0.5 * (place * np.sqrt(1 + place**2) + np.arcsinh(place)), data[:, 1]], axis=1)  # arc length
    assert trustworthiness(data, unrolled) > 0.99
    assert graph_rank_correlation(data, unrolled) > 0.99
    crushed = data[:, [0, 1]]  # the roll pressed on one of its sides
    assert trustworthiness(data, crushed) < 0.99
    assert graph_rank_correlation(data, crushed) < 0.6


def test_images_in_float32_of_a_module():
    torch.manual_seed(0)
    decoder = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 24), nn.Unflatten(1, (2, 3, 4)))
    codes = points(120)
    found = flatvae.report(decoder, codes.numpy(), decoder(codes.float()).detach())
    assert found.unexplained == pytest.approx(0, abs=1e-6)
    assert 0 < found.length_ratio <= 1 + 1e-6
    distance = GeodesicDistance(decoder, codes.float()[:30])  # fewer nodes than its 40 neighbours
    apart = distance.pairwise(codes.float()[:3], codes.float()[3:7])
    ends = decoder(codes.float()).detach().flatten(1)
    chords = torch.cdist(ends[:3], ends[3:7])
    assert (apart >= chords * 0.9999).all()
    assert (apart <= chords * 3).all()


def test_it_can_be_read_and_drawn():
    plane, space = isometry(), isometry(7, 3)
    found = flatvae.report(lambda z: z @ plane, points())
    table = found.table().set_index("quantity")
    assert table.loc["condition_number", "value"] == found.condition_number
    assert "trustworthiness" not in table.index  # no data were given
    assert "condition_number " in repr(found)
    left, right, *_ = found.plot().axes
    assert len(left.collections[-1].get_offsets()) == 300
    assert sum(bar.get_height() for bar in right.patches) == 300
    of_three = flatvae.report(lambda z: z @ space, points(n=3), geodesics=False)
    assert sum(bar.get_height() for bar in of_three.plot().axes[0].patches) == 300


def test_a_variational_autoencoder_of_pythae():
    pythae = pytest.importorskip("pythae.models", reason="pythae is not installed")
    torch.manual_seed(0)
    model = pythae.VAE(pythae.VAEConfig(input_dim=(1, 4, 4), latent_dim=2)).eval()
    data = torch.rand(100, 1, 4, 4)
    codes = model.encoder(data).embedding.detach()
    found = flatvae.report(lambda z: model.decoder(z).reconstruction, codes, data)
    assert found.rows == 100


def noisy() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 3)).double()


def normalised() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).double()


@pytest.mark.parametrize(
    ("decode", "codes", "data", "why"),
    [
        (lambda z: z, points()[:, 0], None, r"codes have the shape \(300,\)"),
        (lambda z: z, points() * torch.nan, None, "codes hold NaN"),
        (
            lambda z: z @ torch.ones(3, 3, dtype=D64),
            points(),
            None,
            r"decode failed for codes of shape \(3, 2\), torch.float64",
        ),
        (lambda z: z / 0, points(), None, "decode returned NaN, infinite"),
        (lambda z: z.sum(0, keepdim=True), points(), None, "another number of rows"),
        (noisy(), points(), None, "decodes to another value the second time or alone"),
        (normalised(), points(), None, "decodes to another value the second time or alone|Expected more than 1 value"),
        (lambda z: z, points(), points(7), "300 codes and 7 rows of data"),
        (lambda z: z, points(), points(n=3), "a row of data has 3 numbers, a decoded code 2"),
        (lambda z: z, points(), points() / 0, "data hold NaN or infinite"),
    ],
)
def test_what_it_refuses(decode, codes, data, why):
    with pytest.raises(InputError, match=why):
        flatvae.report(decode, codes, data)


def test_a_decoder_that_is_linear_in_pieces_is_said_to_be():
    decoder = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
    with pytest.warns(UserWarning, match="piecewise linear"):
        flatvae.report(decoder, points(50), geodesics=False)
