"""Distances and interpolation against decoders whose geodesics are known."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from baselines.geodesic import GeodesicDistance, Geodesics
from flatvae.datasets import Dataset
from flatvae.errors import InputError
from flatvae.evaluation import distances, interpolation, random_pairs


class HandMade(nn.Module):
    """Encodes data to its first two values, and decodes by a given function."""

    def __init__(self, decoder, latent_dim: int = 2):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.decode = decoder
        self.latent_dim = latent_dim

    def encode(self, x):
        return x[:, : self.latent_dim]


def sphere(z):
    return torch.stack([z[:, 1].cos() * z[:, 0].cos(), z[:, 1].cos() * z[:, 0].sin(), z[:, 1].sin()], dim=1)


def data(span: float = 1.0, rows: int = 300, **known) -> Dataset:
    source = torch.Generator().manual_seed(0)
    parts = (2 * torch.rand(3, rows, 3, generator=source) - 1) * span
    return Dataset("hand", *parts, "gaussian", (3,), **known)


def run(decoder, dataset, latent_dim: int = 2):
    model = HandMade(decoder, latent_dim)
    distance = GeodesicDistance(decoder, dataset.train[:, :latent_dim], 20)
    result = distances.evaluate(model, dataset, distances={"geodesic": distance})
    assert {name for name, _, _ in result.metrics} == {"geodesic"}
    return {metric: value for _, metric, value in result.metrics}, result.arrays


def test_a_flat_decoder_has_ratio_one_and_no_error():
    values, arrays = run(lambda z: 2.5 * z @ torch.eye(2, 4, dtype=z.dtype), data())
    assert values["length_ratio_mean"] == pytest.approx(1, abs=1e-6)
    assert values["length_ratio_std"] == pytest.approx(0, abs=1e-6)
    assert values["distance_error_median"] == pytest.approx(0, abs=1e-5)
    assert values["graph_neighbours"] == 20
    assert values["graph_joined_edges"] == 0
    assert 0 < values["graph_excess_mean"] < 0.1
    assert arrays["euclidean_scale"] == pytest.approx(2.5, rel=1e-5)
    grid = np.stack(np.meshgrid(arrays["distance_x"], arrays["distance_y"]), axis=-1)  # (H, H, 2) indexed [y, x]
    for centre, known in zip(arrays["centres"], arrays["geodesic_map"], strict=True):
        np.testing.assert_allclose(known, 2.5 * np.linalg.norm(grid - centre, axis=-1), rtol=1e-4, atol=1e-5)


def test_on_a_sphere_lengths_are_great_circles():
    dataset = data(span=1.2)
    values, arrays = run(sphere, dataset)
    first, second = random_pairs(len(dataset.test), 100)
    a, b = sphere(dataset.test[first, :2].double()), sphere(dataset.test[second, :2].double())
    arc = torch.acos((a * b).sum(1)).numpy()
    np.testing.assert_allclose(arrays["geodesic_length"], arc, rtol=1e-3)
    ratio = arc / arrays["straight_length"]
    assert values["length_ratio_mean"] == pytest.approx(ratio.mean(), rel=1e-3)
    assert values["length_ratio_std"] == pytest.approx(ratio.std(), rel=0.05)
    euclidean = (dataset.test[first, :2] - dataset.test[second, :2]).norm(dim=1).numpy()
    scale = np.sort(arc / euclidean)[49]  # of an even number the lower median, as torch has it
    error = np.abs(scale * euclidean - arc) / arc
    assert values["distance_error_median"] == pytest.approx(np.median(error), rel=0.05)
    assert arrays["frames_geodesic"].shape == arrays["frames_straight"].shape == (6, 8, 3)
    np.testing.assert_allclose(arrays["frames_geodesic"][:, [0, -1]], arrays["frames_straight"][:, [0, -1]], atol=1e-5)


def test_higher_dimensions_have_no_maps():
    _, arrays = run(lambda z: torch.tanh(z), data(), latent_dim=3)
    assert "geodesic_map" not in arrays
    assert arrays["curves"].shape[0] == 6  # the pairs of four centres
    assert arrays["curves"].shape[2] == 3


def test_centres_stand_for_every_class_or_for_quarters_of_the_factor():
    labels = torch.arange(300) % 3
    _, arrays = run(lambda z: z @ torch.eye(2, 3, dtype=z.dtype), data(test_labels=labels))
    assert arrays["centres"].shape == (3, 2)
    own = data().test[:, :2].numpy()
    for label, centre in enumerate(arrays["centres"]):  # a code of its own class, though all the means nearly coincide
        assert (own[labels.numpy() == label] == centre).all(1).any()
    assert len(arrays["curves"]) == 3
    np.testing.assert_array_equal(arrays["curves"][:, 0], arrays["centres"][[0, 0, 1]])
    np.testing.assert_allclose(arrays["curves"][:, -1], arrays["centres"][[1, 2, 2]], atol=1e-6)
    _, arrays = run(lambda z: z @ torch.eye(2, 3, dtype=z.dtype), data(test_labels=torch.zeros(300).long()))
    assert arrays["curves"].shape[0] == arrays["centres"].shape[0] == 1
    factor = torch.linspace(0, 1, 300)
    groups = distances._groups(data(factors=factor))
    assert [len(group) for group in groups] == [75] * 4
    assert all(a.max() < b.min() for a, b in itertools.pairwise(groups))


def lengths(*values):
    length, straight, graph = (torch.tensor(v) for v in values)
    return Geodesics(length, straight, graph, torch.zeros(len(length), 5, 2))


def test_what_coincides_gives_no_nan():
    values, arrays = distances.distance_metrics(torch.zeros(3), lengths([0.0] * 3, [0.0] * 3, [0.0] * 3))
    assert values["length_ratio_mean"] == 1
    assert values["distance_error_median"] == values["graph_excess_mean"] == 0
    assert not any(np.isnan(a).any() for a in arrays.values())
    # a decoder that shows nothing of codes that differ: distance 0, of which Euclidean distance is no multiple but 0
    values, _ = distances.distance_metrics(torch.ones(3), lengths([0.0] * 3, [0.0] * 3, [0.0] * 3))
    assert values["distance_error_median"] == 0
    values, _ = distances.distance_metrics(torch.ones(3), lengths([0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]))
    assert not math.isnan(values["distance_error_median"])


def test_pairs_are_of_different_rows_and_always_the_same():
    for rows in (2, 3, 100):
        first, second = random_pairs(rows, 500)
        assert (first != second).all()
        assert int(max(first.max(), second.max())) < rows
        assert torch.equal(first, random_pairs(rows, 500)[0])
    assert len(torch.unique(random_pairs(100, 5000)[1])) == 100


def test_smoothness_of_a_circle_and_of_a_line():
    """Of an arc of angle θ run through evenly the acceleration is θ² R and the length θ R: their quotient is θ."""
    time = torch.linspace(0, 1, 2000, dtype=torch.float64)
    for angle in (0.5, 2.0):
        arc = 3 * torch.stack([torch.cos(angle * time), torch.sin(angle * time)], dim=1)
        second, variation = interpolation.smoothness(arc[None])
        assert second.item() == pytest.approx(angle, rel=1e-3)
        assert variation.item() == pytest.approx(0, abs=1e-6)
    line = torch.stack([time**2, 0 * time], dim=1)  # speed 2 t: mean 1, deviation 1 / √3; acceleration 2, length 1
    second, variation = interpolation.smoothness(line[None])
    assert second.item() == pytest.approx(2, rel=1e-3)
    assert variation.item() == pytest.approx(1 / math.sqrt(3), rel=1e-3)
    assert [m.item() for m in interpolation.smoothness(torch.ones(1, 9, 4))] == [0, 0]


def test_interpolation_of_a_flat_and_of_a_curved_decoder():
    flat = interpolation.evaluate(HandMade(lambda z: z @ torch.eye(2, 4).to(z)), data())
    assert {metric: value for _, metric, value in flat.metrics} == pytest.approx(
        {"second_difference": 0, "velocity_cv": 0}, abs=1e-10
    )
    curved = interpolation.evaluate(HandMade(sphere), data(span=1.2))
    values = {metric: value for _, metric, value in curved.metrics}
    assert values["second_difference"] > 0.2
    assert values["second_difference"] == pytest.approx(curved.arrays["second_difference"].mean(), rel=1e-5)
    assert curved.arrays["velocity_cv"].shape == (100,)


def test_lines_of_nearly_equal_codes_do_not_count(capsys):
    """Twins and near twins among the data: their lines have no second difference that means anything."""
    apart, close = data(span=1.2, rows=300), data(span=1.2, rows=300)
    first, second = random_pairs(300, interpolation.PAIRS)
    chosen = [pair for pair in range(100) if (first == first[pair]).sum() + (second == first[pair]).sum() == 1][:9]
    for pair, distance in zip(chosen, [0.0, 1e-8, 1e-6, 1e-5, 3e-4] * 2, strict=False):
        close.test[first[pair]] = close.test[second[pair]] + torch.tensor([distance, 0, 0])
    found = interpolation.evaluate(HandMade(sphere), close)
    assert f"{len(chosen)} of 100 lines left out" in capsys.readouterr().out
    expected = interpolation.evaluate(HandMade(sphere), apart)
    assert expected.arrays["kept"].all()
    assert sorted(np.flatnonzero(~found.arrays["kept"])) == sorted(chosen)
    for _, name, value in found.metrics:
        assert value == pytest.approx(np.delete(expected.arrays[name], chosen).mean(), rel=1e-6)


def test_a_decoder_that_ignores_its_input_is_smooth():
    found = interpolation.evaluate(HandMade(lambda z: torch.ones(len(z), 4).to(z)), data())
    assert [value for _, _, value in found.metrics] == [0, 0]
    assert found.arrays["kept"].all()


def test_lines_that_decode_to_nan_are_refused():
    """Never a NaN in the metrics, and never counted as short lines."""
    with pytest.raises(InputError, match="a line between test codes decodes to NaN or infinity; train the model again"):
        interpolation.evaluate(HandMade(lambda z: (z @ torch.eye(2, 4).to(z)).log()), data())


def test_interpolations_are_decoded_in_float64():
    """Far from the origin float32 leaves nothing of a second difference."""
    near, far = (
        interpolation.evaluate(HandMade(lambda z, s=shift: sphere(z) + s), data(span=1.2)).metrics for shift in (0, 1e3)
    )
    for (_, name, value), (_, _, shifted) in zip(near, far, strict=True):
        assert shifted == pytest.approx(value, rel=1e-6), name


def test_final_lengths_are_float64_where_the_decoder_is_given_so():
    """The lengths of a float32 decoder far from the origin against great circles."""

    def shifted(z):
        return sphere(z) + 100

    points = data(span=1.2).test[:, :2]
    a, b = points[:100], points[100:200]
    arc = torch.acos((sphere(a.double()) * sphere(b.double())).sum(1))
    rough = GeodesicDistance(shifted, points, 40).between(a, b)
    exact = GeodesicDistance(shifted, points, 40, exact=shifted).between(a, b)
    assert exact.length.dtype == exact.straight_length.dtype == torch.float64
    assert exact.curve.dtype == torch.float32
    assert (exact.length <= exact.straight_length).all()
    excess = exact.length / arc - 1
    assert excess.min() > -2e-4  # chords of 64 pieces are shorter than their arcs
    assert excess.abs().median() < 2e-3  # a float32 gradient finds no better curve
    straight = torch.lerp(a.double()[:, None], b.double()[:, None], torch.linspace(0, 1, 65).double()[:, None])
    known = sphere(straight.flatten(0, 1)).unflatten(0, straight.shape[:2]).diff(dim=1).norm(dim=-1).sum(1)
    torch.testing.assert_close(exact.straight_length, known, rtol=1e-6, atol=0)
    assert (rough.straight_length / known - 1).abs().max() > 1e-5
