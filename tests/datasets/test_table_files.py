"""A user's .npy, .csv and .parquet files: the same data as in an .npz file, split in the same way; and what is wrong is said."""

import importlib.util
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from refusal import refused

from flatvae import datasets
from flatvae.datasets import PARTS

NUMBERED = np.arange(50.0)[:, None] * [1, -2, 0.125]  # row i begins with i
needs_pyarrow = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed; it belongs to the extra parquet"
)
KINDS = ["npy", "csv", pytest.param("parquet", marks=needs_pyarrow)]


def write(path, values, **columns) -> None:
    """Rows, and further columns of a table, in the form that the file's name says."""
    if path.suffix == ".npy":
        np.save(path, values)
        return
    table = pd.DataFrame(values).rename(columns=lambda place: f"x{place}").assign(**columns)
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)


def table(tmp_path, text: str | bytes):
    path = tmp_path / "mine.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def first_values(data, part: str) -> list[int]:
    return getattr(data, part)[:, 0].int().tolist()


# ------------------------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize("kind", KINDS)
def test_one_file_is_split_into_three_parts(kind, tmp_path):
    write(tmp_path / f"mine.{kind}", NUMBERED)
    data = datasets.load("arrays", path=tmp_path / f"mine.{kind}", test=0.3, validation=0.2)
    assert [len(getattr(data, part)) for part in PARTS] == [28, 7, 15]
    together = torch.cat([getattr(data, part) for part in PARTS])
    assert torch.equal(together[together[:, 0].argsort()], torch.from_numpy(NUMBERED).float())
    assert data.shape == (3,)


def test_the_split_is_that_of_its_seed_whatever_the_file(tmp_path):
    write(tmp_path / "mine.npy", NUMBERED)
    write(tmp_path / "mine.csv", NUMBERED)
    a, again, other = (datasets.load("arrays", path=tmp_path / "mine.csv", seed=seed) for seed in (3, 3, 4))
    b = datasets.load("arrays", path=tmp_path / "mine.npy", seed=3)
    assert a.fingerprint() == again.fingerprint() == b.fingerprint()
    assert first_values(a, "test") != first_values(other, "test")
    drawn = torch.randperm(50, generator=torch.Generator().manual_seed(3))[:10]
    assert first_values(a, "test") == drawn.sort().values.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_each_part_may_have_a_file_of_its_own(kind, tmp_path):
    files = {part: tmp_path / f"{part}.{kind}" for part in ("test", "train", "validation")}
    for place, path in enumerate(files.values()):
        write(path, NUMBERED[10 * place : 10 * place + 10])
    data = datasets.load("arrays", path={part: str(path) for part, path in files.items()})
    assert first_values(data, "test") == list(range(10))
    assert first_values(data, "train") == list(range(10, 20))
    assert first_values(data, "validation") == list(range(20, 30))
    two = datasets.load("arrays", path={part: files[part] for part in ("train", "test")}, validation=0.3)
    assert sorted(first_values(two, "train") + first_values(two, "validation")) == list(range(10, 20))
    assert len(two.validation) == 3


def test_a_single_array_keeps_its_shape_and_single_values_their_kind(tmp_path):
    np.save(tmp_path / "mine.npy", np.arange(240).reshape(10, 4, 6).astype(">i2"))
    data = datasets.load("arrays", path=tmp_path / "mine.npy")
    assert data.shape == (4, 6)
    assert all(row.tolist() == list(range(int(row[0]), int(row[0]) + 24)) for row in data.train)


def test_grey_values_of_a_table_are_binarised_once(tmp_path):
    write(tmp_path / "mine.csv", np.random.default_rng(0).random((50, 20)))
    data = datasets.load("arrays", path=tmp_path / "mine.csv", likelihood="bernoulli")
    assert set(data.test.unique().tolist()) == {0.0, 1.0}
    assert len(data.train.unique()) > 500


# ----------------------------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_column_of_names_becomes_classes_in_alphabetical_order(kind, tmp_path):
    names = np.array(["pear", "apple", None, "fig"], object)[np.arange(50) % 4]
    write(tmp_path / f"mine.{kind}", NUMBERED, kind=names)
    data = datasets.load("arrays", path=tmp_path / f"mine.{kind}", label="kind")
    assert data.label_names == ("apple", "fig", "pear")
    assert data.dim == 3
    for part in PARTS:
        expected = [(2, 0, -1, 1)[row % 4] for row in first_values(data, part)]
        assert getattr(data, f"{part}_labels").tolist() == expected


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_column_of_whole_numbers_stays_what_it_is(kind, tmp_path):
    classes = pd.Series(np.arange(50) % 5).astype("Int64").where(np.arange(50) % 7 != 3)
    write(tmp_path / f"mine.{kind}", NUMBERED, y=classes)
    data = datasets.load("arrays", path=tmp_path / f"mine.{kind}", label="y")
    assert data.label_names is None
    for part in PARTS:
        expected = [-1 if row % 7 == 3 else row % 5 for row in first_values(data, part)]
        assert getattr(data, f"{part}_labels").tolist() == expected


def test_names_are_numbered_over_all_parts(tmp_path):
    files = {"train": "train.csv", "test": "test.csv"}
    for part, name in (("train", "b"), ("test", "a")):
        write(tmp_path / files[part], NUMBERED[:10], kind=[name, "c"] * 5)
    paths = {part: tmp_path / file for part, file in files.items()}
    data = datasets.load("arrays", path=paths, label="kind")
    assert data.label_names == ("a", "b", "c")
    assert data.test_labels.tolist() == [0, 2] * 5
    assert set(data.train_labels.tolist()) <= {1, 2}
    write(paths["test"], NUMBERED[:10], kind=[0, 1] * 5)
    assert "holds names but column 'kind' in" in refused(datasets.load, "arrays", path=paths, label="kind")


# -------------------------------------------------------------------------------------------------------------- standards


def test_standardised_columns_have_mean_0_and_deviation_1_over_the_training_part(tmp_path):
    source = np.random.default_rng(0)
    values = source.normal(size=(200, 3)) * [1e-3, 1.0, 1e4] + [5.0, 0.0, -1e6]
    write(tmp_path / "mine.csv", values)
    plain, scaled = (datasets.load("arrays", path=tmp_path / "mine.csv", standardise=flag) for flag in (False, True))
    train = plain.train.double()
    assert torch.allclose(scaled.train.double().mean(0), torch.zeros(3).double(), atol=1e-6)
    assert torch.allclose(scaled.train.double().std(0, correction=0), torch.ones(3).double(), atol=1e-6)
    for part in ("validation", "test"):
        by_hand = (getattr(plain, part).double() - train.mean(0)) / train.std(0, correction=0)
        assert torch.allclose(getattr(scaled, part).double(), by_hand, rtol=1e-3, atol=1e-3)
        assert getattr(scaled, part).mean(0).abs().max() > 0.01  # by the training part's numbers, not by its own


def test_what_varies_little_about_a_large_value_keeps_its_digits(tmp_path):
    """Time stamps: float32 has no digits left for their seconds, so they are standardised before they are rounded."""
    write(tmp_path / "mine.csv", 1.7e9 + np.arange(100.0)[:, None])
    data = datasets.load("arrays", path=tmp_path / "mine.csv", standardise=True)
    assert len(torch.cat([getattr(data, part) for part in PARTS]).unique()) == 100


def test_constant_columns_become_0_and_are_named(tmp_path):
    values = np.c_[np.full(50, 0.1), NUMBERED]
    values[:, 2] = 7
    write(tmp_path / "mine.csv", values)
    with pytest.warns(UserWarning, match="2 of 4 columns are constant in the training part and become 0: 'x0', 'x2'"):
        data = datasets.load("arrays", path=tmp_path / "mine.csv", standardise=True)
    assert all(not getattr(data, part)[:, [0, 2]].any() for part in PARTS)
    assert data.train[:, 1].std(correction=0) == pytest.approx(1)
    np.save(tmp_path / "mine.npy", values)
    with pytest.warns(UserWarning, match="become 0: 0, 2"):
        assert data.fingerprint() == datasets.load("arrays", path=tmp_path / "mine.npy", standardise=True).fingerprint()


def test_standardised_values_are_not_bernoulli(tmp_path):
    assert "option standardise" in refused(
        datasets.load, "arrays", path=tmp_path / "x.npz", standardise=True, likelihood="bernoulli"
    )


# ------------------------------------------------------------------------------------------------------------- what is wrong


ROWS = "\n1,2\n3,4\n5,6\n"


@pytest.mark.parametrize(
    "text",
    [
        "größe,y\n1,2\n3,4\n5,6\n".encode("latin-1"),
        "größe,y\n1,2\n3,4\n5,6\n".encode("utf-16"),
        b'\xef\xbb\xbf"a b", y\r\n1, 2\r\n3 ,4\r\n\r\n5,6',
        b"0,1\n1,2\n3,4\n5,6\n",  # as pandas names columns
        b"x,y\n1,2\n3,4e0\n5,000000000000000000000000000006\n",
    ],
    ids=["Latin-1", "UTF-16", "mark, spaces and Windows' line ends", "numbered", "many digits"],
)
def test_tables_as_programs_save_them(tmp_path, text):
    data = datasets.load("arrays", path=table(tmp_path, text))
    together = torch.cat([getattr(data, part) for part in PARTS])
    assert together[together[:, 0].argsort()].tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "mine.csv is empty; it must have a line with the columns' names, and rows"),
        ("x,y\n", "mine.csv has 0 rows and 2 columns of numbers"),
        ("1.5,2\n3,4\n", "mine.csv begins with numbers (1.5, 2); add a first line with the columns' names"),
        (",x\n0,2\n1,4\n", "mine.csv has no name for column 1; name it, or save without it if it numbers the rows"),
        ("x,y\n1,2\n3,Bern\n", "column 'y' in {path} holds 'Bern' in row 2; all must be numbers"),
        ("x,y\n1,2020-01-31\n", "column 'y' in {path} holds '2020-01-31' in row 1"),
        ('x,y\n1,"1,5"\n', "column 'y' in {path} holds '1,5' in row 1"),
        ("x;y\n1;2\n", "column 'x;y' in {path} holds '1;2' in row 1"),
        ("x,y\n1,2\n3,\n5,6\n7,nan\n", "column 'y' in {path} has no value in row 2 and 1 more; fill it in"),
        ("x,y\n1,2\n3\n", "column 'y' in {path} has no value in row 2;"),
        ("x,y\n1,inf\n", "column 'y' in {path} has a value that is not finite in float32 in row 1;"),
        ("x,y\n1,2\n-1e39,2\n", "column 'x' in {path} has a value that is not finite in float32 in row 2;"),
        ("x,y\n1,2\n3,4,5\n", "mine.csv is no table (Expected 2 fields in line 3, saw 3); every line must have"),
        ("x,y\n1,2,3\n", "mine.csv has a line with more values than the first has names; name every column"),
        ('x,y\n1,"2\n', "mine.csv is no table (EOF inside string starting at row 1)"),
        ("x,y\n1,2\n", "mine.csv has one row for training; it must have more, to hold out test"),
        ("x,y\n1,2\n3,4\n", "mine.csv has one row for training; it must have more, to hold out validation"),
        (b"PK\x03\x04\xff" * 9, "mine.csv has 0 rows and 1 columns of numbers"),
        (b"\xff\xfe\x00\xd8\x00", "mine.csv is damaged, or no text"),
        ("x" * 200_000, "mine.csv is no table (field larger than field limit"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, text, said):
    path = table(tmp_path, text)
    assert said.format(path=path) in refused(datasets.load, "arrays", path=path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"x,y{ROWS}", "mine.csv has no column 'kind' for label; it has x, y"),
        ("kind\na\nb\n", "mine.csv has 2 rows and 0 columns of numbers"),
        ("x,kind\n1,0.5\n2,1\n", "column 'kind' in {path} holds 0.5; it must hold whole numbers from 0, or names"),
        ("x,kind\n1,1e300\n2,1\n", "column 'kind' in {path} holds 1e+300; it must hold whole numbers"),
        ("x,kind\n1,-1\n2,1\n", "column 'kind' in {path} holds only -1 and 1, and -1 means unlabelled"),
        ("x,kind\n1,-2\n2,1\n3,0\n", "labels holds -2; it must hold classes from 0"),
    ],
)
def test_what_is_wrong_with_labels_is_said(tmp_path, text, said):
    path = table(tmp_path, text)
    assert said.format(path=path) in refused(datasets.load, "arrays", path=path, label="kind")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ({"train": "a.csv"}, "option path names train; it must name train, test and optionally validation"),
        ({"train": "a.csv", "test": "a.csv", "tset": "a.csv"}, "option path names train, test, tset; it must"),
        (
            {"train": "a.csv", "test": "a.npz"},
            "option path gives 'a.npz' for test; it must be an .npy, .csv or .parquet",
        ),
        ({"train": "a.csv", "test": 3}, "option path gives 3 for test; it must be"),
        ({"train": "a.csv", "test": "gone.csv"}, "gone.csv is missing"),
        ({"train": "a.csv", "test": "b.csv"}, "test in b.csv has other columns than train, or in another order"),
        ({"train": "a.csv", "test": "wide.npy"}, "test in wide.npy has 5 values a row; it must have 3, as train has"),
        ("pickled.npy", "pickled.npy holds Python objects; it must be a plain array of numbers"),
        ("cut.npy", "cut.npy has a damaged header; write the file again with numpy.save"),
        ("text.npy", "text.npy is not an array; it must be written with numpy.save"),
        ("flat.npy", "flat.npy has 1 dimension(s); it must be (N, ...), one observation a row"),
        ("nan.npy", "nan.npy holds 1 value(s) that are NaN or infinite"),
        ("mine.tsv", "mine.tsv is no .npz file; write it with numpy.savez, or save .npy, .csv or .parquet"),
    ],
    ids=str,
)
def test_what_is_wrong_with_files_is_said(tmp_path, monkeypatch, path, said):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.csv", NUMBERED)
    (tmp_path / "b.csv").write_text("x1,x0,x2\n1,2,3\n")
    (tmp_path / "mine.tsv").write_text("x\ty\n1\t2\n")
    np.save("wide.npy", np.zeros((4, 5)))
    np.save("pickled.npy", np.array([[1, None]], object))
    np.save("flat.npy", np.zeros(4))
    np.save("nan.npy", np.array([[1, np.nan]]))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "wide.npy").read_bytes()[:-1])
    (tmp_path / "text.npy").write_text("1 2 3")
    assert said in refused(datasets.load, "arrays", path=path)


@pytest.mark.parametrize("name", ["mine.npy", "mine.npz"])
def test_labels_of_files_without_columns_are_said_to_be_elsewhere(tmp_path, name):
    write(tmp_path / "mine.npy", NUMBERED)
    np.savez(tmp_path / "mine.npz", train=NUMBERED, test=NUMBERED)
    assert "option label names a column" in refused(datasets.load, "arrays", path=tmp_path / name, label="y")


@pytest.mark.parametrize("option", ["test", "validation"])
@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_bad_fraction_is_refused(tmp_path, option, fraction):
    write(tmp_path / "mine.csv", NUMBERED)
    sentence = refused(datasets.load, "arrays", path=tmp_path / "mine.csv", **{option: fraction})
    assert f"option {option} is {fraction}; it must lie between 0 and 1" in sentence


@needs_pyarrow
def test_what_is_wrong_with_a_parquet_file_is_said(tmp_path):
    path = tmp_path / "mine.parquet"
    write(path, NUMBERED, city="Bern")
    assert f"column 'city' in {path} holds 'Bern' in row 1" in refused(datasets.load, "arrays", path=path)
    write(path, NUMBERED, seen=pd.array([1, None] * 25, dtype="Int64"))
    assert f"column 'seen' in {path} has no value in row 2 and 24 more" in refused(datasets.load, "arrays", path=path)
    path.write_bytes(path.read_bytes()[:-9])
    assert "is no .parquet file, or damaged" in refused(datasets.load, "arrays", path=path)


def test_a_parquet_file_without_pyarrow_asks_for_it(tmp_path, monkeypatch):
    def lacking(*_, **__):
        raise ImportError("Missing optional dependency 'pyarrow'.")

    monkeypatch.setattr(pd, "read_parquet", lacking)
    (tmp_path / "mine.parquet").write_bytes(b"PAR1")
    sentence = refused(datasets.load, "arrays", path=tmp_path / "mine.parquet")
    assert "needs the package pyarrow; pip install '.[parquet]', or save .csv" in sentence


def test_no_warning_reaches_the_user_of_a_good_table(tmp_path):
    write(tmp_path / "mine.csv", NUMBERED, kind=["a", "b"] * 25)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        datasets.load("arrays", path=tmp_path / "mine.csv", label="kind", standardise=True)
