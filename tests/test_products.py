"""Products by oneDNN, where they are used, against those of float64 and against MKL's."""

import pytest
import torch

from flatvae import products
from flatvae.products import exact_float32, widened

FAVOURABLE = {
    "flatvae.products._intel": lambda: False,
    "torch.cpu._is_amx_tile_supported": lambda: False,
    "torch.backends.cpu.get_cpu_capability": lambda: "AVX512",
    "torch.backends.mkldnn.is_available": lambda: True,
}


@pytest.fixture
def anew():
    widened.cache_clear()
    yield
    widened.cache_clear()


@pytest.mark.parametrize("shape", [(128, 256, 128), (1000, 2, 64), (64, 64, 4), (7, 5, 3)])
def test_products_are_as_exact_as_torch_has_them(shape):
    rows, inner, columns = shape
    source = torch.Generator().manual_seed(0)
    x = torch.randn(5, rows, inner, generator=source)
    y = torch.randn(5, inner, columns, generator=source)
    exact = torch.bmm(x.double(), y.double())
    bound = inner * torch.finfo(torch.float32).eps * torch.bmm(x.double().abs(), y.double().abs())
    with exact_float32():
        found = [
            x @ y,
            torch.baddbmm(torch.zeros(5, 1, columns), x, y),
            torch.stack([a @ b for a, b in zip(x, y, strict=True)]),
        ]
    for product in found:
        assert ((product.double() - exact).abs() <= bound).all()  # bfloat16 would be 2^16 times as far


PLACES = {
    "cuBLAS": torch.backends.cuda.matmul,
    "cuDNN": torch.backends.cudnn.conv,
    "cuDNN, recurrent": torch.backends.cudnn.rnn,
    "oneDNN": torch.backends.mkldnn.matmul,
}


@pytest.fixture
def tf32_allowed():
    """A user who lets a GPU round to TF32."""
    places = [place for name, place in PLACES.items() if name != "oneDNN"]
    before = [place.fp32_precision for place in places]
    for place in places:
        place.fp32_precision = "tf32"
    yield
    for place, value in zip(places, before, strict=True):
        place.fp32_precision = value


def precisions() -> dict[str, str]:
    return {name: place.fp32_precision for name, place in PLACES.items()}


def test_the_settings_are_left_as_they_were():
    before = precisions()
    with pytest.raises(ZeroDivisionError), exact_float32():
        1 / 0  # noqa: B018
    assert precisions() == before


@pytest.mark.usefixtures("tf32_allowed")
def test_a_gpu_rounds_nothing_to_tf32_though_the_user_lets_it():
    with exact_float32():
        assert {precisions()[name] for name in PLACES if name != "oneDNN"} == {"ieee"}
    assert {precisions()[name] for name in PLACES if name != "oneDNN"} == {"tf32"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.usefixtures("tf32_allowed")
def test_products_and_convolutions_on_a_gpu_are_those_of_float32():
    x = torch.randn(256, 256, generator=torch.Generator().manual_seed(0)).cuda()
    kernel = torch.randn(16, 4, 3, 3, generator=torch.Generator().manual_seed(1)).cuda()
    pictures = x.view(4, 4, 64, 64)
    with exact_float32():
        found = x @ x, torch.nn.functional.conv2d(pictures, kernel)
    exact = x.double() @ x.double(), torch.nn.functional.conv2d(pictures.double(), kernel.double())
    for product, wanted in zip(found, exact, strict=True):
        assert ((product - wanted).norm() / wanted.norm()).item() < 1e-6  # TF32: 3e-4


@pytest.mark.usefixtures("anew")
def test_the_setting_lasts_as_long_as_anybody_wants_it(monkeypatch):
    for favourable in FAVOURABLE.items():
        monkeypatch.setattr(*favourable)
    if not widened():
        pytest.skip("this processor's products round where they may")
    before = torch.backends.mkldnn.matmul.fp32_precision
    one, other = exact_float32(), exact_float32()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)  # as two threads may have it
    assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    other.__exit__(None, None, None)
    assert torch.backends.mkldnn.matmul.fp32_precision == before


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flatvae.products._intel", lambda: True),
        ("torch.cpu._is_amx_tile_supported", lambda: True),
        ("torch.backends.cpu.get_cpu_capability", lambda: "AVX2"),
        ("torch.backends.mkldnn.is_available", lambda: False),
    ],
)
def test_elsewhere_products_stay_torchs(name, value, monkeypatch):
    for favourable in FAVOURABLE.items():
        monkeypatch.setattr(*favourable)
    if not widened():
        pytest.skip("this processor's products round where they may")
    widened.cache_clear()
    monkeypatch.setattr(name, value)
    assert not widened()


@pytest.mark.usefixtures("anew")
def test_a_product_that_rounds_is_not_used(monkeypatch):
    """A machine that looks right and rounds to bfloat16 all the same."""
    for favourable in FAVOURABLE.items():
        monkeypatch.setattr(*favourable)
    rounding = torch.bmm
    monkeypatch.setattr(products.torch, "bmm", lambda x, y: rounding(x.bfloat16(), y.bfloat16()).float())
    assert not widened()
