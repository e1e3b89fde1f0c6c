"""Files with a bit changed, cut or written by others: the right values, or the project's own sentence, whatever the bit."""

import gzip
import hashlib
import io
import math
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import flipped
from refusal import refused

from flatvae import datasets
from flatvae.datasets import _acclaim, mnist
from flatvae.errors import InputError

CMU = Path(os.environ.get("FLATVAE_DATA") or Path(__file__).parents[2].parent / "shared" / "data") / "cmu_mocap"
needs_cmu = pytest.mark.skipif(not (CMU / "35" / "35_01.amc").is_file(), reason="the CMU files are not there")
pytestmark = pytest.mark.filterwarnings(
    "ignore:dataset arrays"
)  # a damaged name may be that of an array that is not read
SOURCE = np.random.default_rng(0)
SMALL = {
    "train": SOURCE.random((6, 2, 2)).astype("f4"),
    "validation": SOURCE.random((2, 2, 2)).astype("f4"),
    "test": SOURCE.random((3, 2, 2)).astype("f4"),
    "train_labels": np.arange(6),
}
LARGE = {
    "train": SOURCE.random((8_000, 16)).astype("f4"),
    "test": SOURCE.random((10, 16)).astype("f4"),
}  # half a megabyte


def npz(arrays: dict, compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, array in arrays.items():
            content = array
            if isinstance(array, np.ndarray):
                member = io.BytesIO()
                np.save(member, array)
                content = member.getvalue()
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def outcome(call, *arguments, **options):
    """What a call returns, or the one sentence with which it refuses a file."""
    try:
        return call(*arguments, **options)
    except InputError as error:
        sentence = str(error)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def check_arrays(path: Path, arrays: dict) -> bool:
    """Whether the file is taken; if so with the right values."""
    found = outcome(datasets.load, "arrays", path=path, validation=0.5)
    if isinstance(found, str):
        assert str(path) in found
        return False
    for part in ("train", "validation", "test"):
        if part in arrays:
            assert np.array_equal(getattr(found, part).numpy(), arrays[part].reshape(len(arrays[part]), -1))
    if "train_labels" in arrays:
        assert np.array_equal(found.train_labels.numpy(), arrays["train_labels"])
    return True


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_every_byte_of_a_small_npz(tmp_path, compression):
    """Local headers, names, headers of arrays, values: one bit of each byte, another in the next."""
    raw, path = npz(SMALL, compression), tmp_path / "a.npz"
    taken, stop = 0, raw.index(b"PK\x01\x02")
    for place in range(stop):
        damaged = bytearray(raw)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        taken += check_arrays(path, SMALL)
    assert 0 < taken < 0.2 * stop  # dates and the like harm nobody


def test_every_bit_of_the_directory_of_an_npz(tmp_path):
    raw, path = npz({key: SMALL[key] for key in ("train", "test", "train_labels")}), tmp_path / "a.npz"
    path.write_bytes(raw)
    whole = datasets.load("arrays", path=path, validation=0.5)
    start = raw.index(b"PK\x01\x02")
    for place in range(8 * start, 8 * len(raw)):
        damaged = bytearray(raw)
        damaged[place // 8] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        found = outcome(datasets.load, "arrays", path=path, validation=0.5)
        if not isinstance(found, str):
            assert torch.equal(found.test, whole.test)
            assert torch.equal(found.train_labels, whole.train_labels)
            assert torch.equal(found.train, whole.train)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_a_large_npz(tmp_path, compression):
    """Its members are read in pieces, so the checksum counts only if they are read to the end."""
    raw, path = npz({**LARGE, "validation": LARGE["test"]}, compression), tmp_path / "a.npz"
    header = 30 + len("train.npy")  # of the array, behind the member's own
    for damaged in (
        *flipped(raw, 64, header + 20, header + 40),
        *flipped(raw, 24, header, header + 90),
        *flipped(raw, 12, len(raw) // 2),
        *flipped(raw, 6, len(raw) - 200),
    ):
        path.write_bytes(damaged)
        check_arrays(path, LARGE)
    middle = bytearray(raw)
    middle[len(raw) // 2] ^= 4
    path.write_bytes(middle)
    assert "train in" in refused(datasets.load, "arrays", path=path)


def npy(header: str, values: bytes = b"\0" * 64, version: bytes = b"\1\0") -> bytes:
    text = header.encode("latin-1")
    return b"\x93NUMPY" + version + struct.pack("<H" if version == b"\1\0" else "<I", len(text)) + text + values


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4), }\n"


@pytest.mark.parametrize(
    "member",
    [
        npy(HEADER.replace("(4, 4)", "(4, 3)")),
        npy(HEADER.replace("(4, 4)", "(4, 5)")),
        npy(HEADER.replace("(4, 4)", "(4, 10**15)")),
        npy(HEADER.replace("(4, 4)", "(1000000000000, 1000000000)")),
        npy(HEADER.replace("(4, 4)", "(-4, -4)")),
        npy(HEADER.replace("(4, 4)", "(4, 4.0)")),
        npy(HEADER.replace("(4, 4)", "(4, 4")),
        npy(HEADER.replace("<f4", "<f2")),
        npy(HEADER.replace("<f4", "<f8")),
        npy(HEADER.replace("<f4", "<q9")),
        npy(HEADER.replace("'<f4'", "'<f4")),
        npy(HEADER.replace("'<f4'", "('<f4', (2,))")),
        npy(HEADER.replace("False", "Falsf")),
        npy(HEADER.replace("False", "0")),
        npy(HEADER.replace("}", "")),
        npy("(" * 5000),
        npy("\0" * 20),
        npy(HEADER)[:9],
        npy(HEADER)[:30],
        npy(HEADER) + b"\0",
        npy(HEADER)[:-1],
        npy(HEADER, version=b"\3\0"),
        npy(HEADER, version=b"\7\0"),
    ],
    ids=[
        *("fewer", "more", "sum", "huge", "negative", "float", "open", "half", "double", "type", "quote", "subarray"),
        *(
            "word",
            "number",
            "brace",
            "deep",
            "zeros",
            "cut length",
            "cut header",
            "too long",
            "too short",
            "3.0",
            "7.0",
        ),
    ],
)
def test_headers_that_do_not_fit_are_refused_before_memory_is_taken(tmp_path, member):
    """The checksum of each is right: nothing but the header tells."""
    (tmp_path / "a.npz").write_bytes(npz({"train": member, "test": SMALL["test"].reshape(3, 4)}))
    sentence = refused(datasets.load, "arrays", path=tmp_path / "a.npz")
    assert f"train in {tmp_path / 'a.npz'} has a damaged header" in sentence


@pytest.mark.parametrize("version", [b"\1\0", b"\2\0"])
@pytest.mark.parametrize("order", [False, True])
def test_headers_of_both_versions_and_orders_are_read(tmp_path, version, order):
    values = np.arange(8.0, dtype="f4").reshape(2, 4)
    member = npy(
        f"{{'descr': '<f4', 'fortran_order': {order}, 'shape': (2, 4), }}\n",
        values.tobytes("F" if order else "C"),
        version,
    )
    (tmp_path / "a.npz").write_bytes(npz({"train": member, "test": member, "validation": member}))
    found = datasets.load("arrays", path=tmp_path / "a.npz")
    assert found.train.tolist() == found.test.tolist() == values.tolist()


def test_an_encrypted_npz_is_refused(tmp_path):
    raw = bytearray(npz(SMALL))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = raw.find(signature)
        while at >= 0:
            raw[at + offset] |= 1
            at = raw.find(signature, at + 4)
    (tmp_path / "a.npz").write_bytes(raw)
    assert "is encrypted; it must be written without a password" in refused(
        datasets.load, "arrays", path=tmp_path / "a.npz"
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_read_and_damage_in_them_is_noticed(tmp_path, method):
    raw, path = npz(SMALL, method), tmp_path / "a.npz"
    path.write_bytes(raw)
    assert check_arrays(path, SMALL)
    for damaged in flipped(raw, 200, 30):
        path.write_bytes(damaged)
        check_arrays(path, SMALL)


def test_an_unknown_compression_is_refused(tmp_path):
    raw = npz(SMALL, zipfile.ZIP_DEFLATED)
    at = raw.index(b"PK\x01\x02") + 10
    (tmp_path / "a.npz").write_bytes(raw[:at] + b"\x63\0" + raw[at + 2 :])
    assert "train in" in refused(datasets.load, "arrays", path=tmp_path / "a.npz")


# MNIST

LABELS = "t10k-labels-idx1-ubyte.gz"


@pytest.mark.parametrize("rows", [40, 200_000], ids=["small", "large"])
def test_bits_of_a_gz_file_of_mnist(tmp_path, monkeypatch, rows):
    values = np.random.default_rng(0).integers(0, 256, rows).astype(np.uint8)
    content = struct.pack(">HBBI", 0, 8, 1, rows) + values.tobytes()
    monkeypatch.setitem(mnist.SHA256, LABELS, hashlib.sha256(content).hexdigest())
    raw, path = gzip.compress(content), tmp_path / LABELS
    taken = 0
    for damaged in (*flipped(raw, 160), *flipped(raw, 160, len(raw) - 10)) if rows == 40 else flipped(raw, 60):
        path.write_bytes(damaged)
        found = outcome(mnist.read, tmp_path, LABELS)
        if isinstance(found, str):
            assert f"{path} is not usable" in found
        else:
            assert np.array_equal(found, values)
            taken += 1
    assert taken  # the time in its header


# Acclaim files: no checksum, so another number may come out, but numbers, and at once


@needs_cmu
@pytest.mark.parametrize(("file", "start"), [("35/35.asf", 0), ("35/35_01.amc", 0), ("35/35_01.amc", 10_000)])
def test_bits_of_acclaim_files(tmp_path, file, start):
    skeleton = _acclaim.read_skeleton(CMU / "35" / "35.asf")
    raw, path = (CMU / file).read_bytes(), tmp_path / "a"
    raw = raw[: raw.index(b"\n15\r\n") + 1] if file.endswith("amc") else raw
    for damaged in flipped(raw, 200, start):
        path.write_bytes(damaged)
        found = (
            outcome(_acclaim.read_motion, path, skeleton)
            if file.endswith("amc")
            else outcome(_acclaim.read_skeleton, path)
        )
        if isinstance(found, str):
            assert found.startswith(str(path))
        elif file.endswith("amc"):
            assert np.isfinite(found.channels).all()
        else:
            assert np.isfinite(found.offsets).all()
            assert np.isfinite(found.axes).all()


def test_radians_that_overflow_as_degrees_are_refused(tmp_path):
    text = ":units\n angle rad\n:root\n order TX TY TZ RX RY RZ\n position 0 0 0\n orientation 0 0 0\n:bonedata\n"
    text += " begin\n name a\n direction 1 0 0\n length 1\n axis {} 0 0 XYZ\n dof rx\n end\n:hierarchy\n begin\n root a\n end\n"
    (tmp_path / "a.asf").write_text(text.format("1e307"))
    assert "'1e307' stands for a number" in refused(_acclaim.read_skeleton, tmp_path / "a.asf")
    (tmp_path / "a.asf").write_text(text.format("3"))
    skeleton = _acclaim.read_skeleton(tmp_path / "a.asf")
    motion = ":RADIANS\n1\nroot 0 0 0 0 0 0\na {}\n"
    (tmp_path / "a.amc").write_text(motion.format("1e307"))
    assert "line 4: '1e307'" in refused(_acclaim.read_motion, tmp_path / "a.amc", skeleton)
    (tmp_path / "a.amc").write_text(motion.format("1e3"))
    found = _acclaim.read_motion(tmp_path / "a.amc", skeleton).channels
    assert found[0, -1] == pytest.approx(1e3 * 180 / math.pi)
