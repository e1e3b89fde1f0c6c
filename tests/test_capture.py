"""A captured function gives what the function gives, with fewer operations."""

import pytest
import torch
from torch.func import jvp, vmap

from flatvae.training.graph import captured


def gradient_of_a_jacobian(weight, points):
    """Of Σ |J|², J the Jacobian of tanh(W z), for several W at once: derivatives of derivatives under vmap."""

    def squared(weight, points):
        tangent = jvp(lambda z: torch.tanh(z @ weight), (points,), (torch.ones_like(points),))[1]
        return tangent.square().sum()

    return list(torch.autograd.grad(vmap(squared)(weight, points).sum(), [weight, points]))


def arguments(dtype, seed=0):
    source = torch.Generator().manual_seed(seed)
    weight, points = (torch.randn(4, *shape, dtype=dtype, generator=source) for shape in ((3, 5), (7, 3)))
    return weight.requires_grad_(), points.requires_grad_()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_a_captured_function_gives_the_same_for_other_arguments(dtype, tolerance):
    function = captured(gradient_of_a_jacobian, *arguments(dtype))
    for seed in (0, 1):
        for found, known in zip(
            function(*arguments(dtype, seed)), gradient_of_a_jacobian(*arguments(dtype, seed)), strict=True
        ):
            torch.testing.assert_close(found, known, rtol=tolerance, atol=tolerance)
            assert not found.requires_grad


def test_operations_that_nobody_reads_are_dropped():
    function = captured(gradient_of_a_jacobian, *arguments(torch.float32))
    targets = [node.target for node in function.__wrapped__.graph.nodes]
    assert targets.count(torch.ops.aten.tanh.default) == 1
    assert torch.ops.aten.detach.default not in targets


def test_products_with_the_tangents_of_what_does_not_move_are_dropped():
    """Of a linear layer under jvp: W's tangent is zero, and torch multiplies with it where seeds are mapped over."""

    def function(weight, bias, points):
        def single(weight, bias, points):
            layer = lambda z: torch.nn.functional.linear(z, weight, bias)  # noqa: E731
            return jvp(layer, (points,), (torch.ones_like(points),))

        return list(vmap(single)(weight, bias, points))

    source = torch.Generator().manual_seed(0)
    examples = [torch.randn(*shape, generator=source).requires_grad_() for shape in ((4, 5, 3), (4, 5), (4, 7, 3))]
    found = captured(function, *examples)
    for a, b in zip(found(*examples), function(*examples), strict=True):
        torch.testing.assert_close(a, b)
    products = [
        n for n in found.__wrapped__.graph.nodes if n.target in (torch.ops.aten.bmm.default, torch.ops.aten.mm.default)
    ]
    assert len(products) == 2  # of the value and of the tangent


def test_copies_that_nobody_writes_to_are_dropped():
    def function(a):
        kept = a.clone()
        kept.add_(1)
        return [a.clone() * 2, torch.empty_like(a).copy_(a).to(a.dtype, copy=True) * 3, kept, a.t().contiguous()]

    found = captured(function, torch.ones(3, 3))
    argument = torch.arange(9.0).view(3, 3)
    for a, b in zip(found(argument), function(argument), strict=True):
        assert torch.equal(a, b)
        assert a.stride() == b.stride()
    assert torch.equal(argument, torch.arange(9.0).view(3, 3))
    clones = found.__wrapped__.graph.find_nodes(op="call_function", target=torch.ops.aten.clone.default)
    assert len(clones) == 2  # the one that is written to, and the one that is laid out anew


@pytest.mark.parametrize("zeros", [torch.zeros_like, lambda a: a.new_zeros(a.shape), lambda a: torch.zeros(3)])
def test_zeros_that_are_written_over_are_none(zeros):
    def function(a):
        made = zeros(a)
        before = made * 2
        made.view(3).add_(a)
        return [made * a, before, made * 2, torch.zeros(3) * a, a + torch.zeros(3)]

    found = captured(function, torch.ones(3))
    argument = torch.tensor([1.0, 2.0, 3.0])
    for a, b in zip(found(argument), function(argument), strict=True):
        assert torch.equal(a, b)


def by_chunk(a):
    made = torch.zeros(4)
    made.chunk(2)[0].add_(a[:2])
    return [made * 2]


def by_unbind(a):
    made = a * 1
    before = made * 2
    made.unbind()[1].mul_(3)
    return [before, made * 2]


def by_reshape(a):
    first = a.view(2, 2).t().reshape(4)
    first.add_(1)
    return [first, a.view(2, 2).t().reshape(4)]


def by_output(a):
    made, again = torch.zeros(4), a + 1
    torch.mul(a, 2, out=made)
    return [made * 3, again, a + 1]


def of_other_types(a):
    whole = (10 * a).long()
    return [whole**1.0, a + torch.zeros(4, dtype=torch.float64), whole + torch.zeros(4)]


@pytest.mark.parametrize("function", [by_chunk, by_unbind, by_reshape, by_output, of_other_types])
def test_what_is_written_by_parts_and_types_stay_as_they_are(function):
    argument = torch.tensor([0.5, 1.0, 2.0, 3.0])
    for found, known in zip(captured(function, torch.ones(4))(argument), function(argument), strict=True):
        assert found.dtype == known.dtype
        assert torch.equal(found, known)


def test_results_may_be_written_over():
    constant = torch.ones(3)
    function = captured(
        lambda a: [
            a.view(3),
            constant,
            a + 1,
            a.view(1, 3).t().clone(),
            a[:2],
            constant[1:],
            a + 1,
            (a + 1)[1:].clone(),
        ],
        torch.zeros(3),
    )
    argument = torch.zeros(3)
    for _ in range(2):
        for result, known in zip(function(argument), (0, 1, 1, 0, 0, 1, 1, 1), strict=True):
            assert (result == known).all()
            result.fill_(7)
    assert (argument == 0).all()
    assert (constant == 1).all()
