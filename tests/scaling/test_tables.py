"""Loss tables: registry, checksums, own files, and bad input. Never downloads."""

import os

import pandas as pd
import pytest

from companion import tables
from companion.errors import InputError

ROWS = {"m": [64, 128, 256], "ell": [2, 4, 8], "D": [1e8, 2e8, 4e8], "loss": [4.0, 3.5, 3.0]}


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No data folder, an empty cache, and a downloader that finds no network."""
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))

    def refuse(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", refuse)
    return tmp_path


def served(monkeypatch, content: bytes):
    def write(self, url, output_file, pooch):
        with open(output_file, "wb") as file:
            file.write(content)

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", write)


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet"])
def test_own_files_of_every_kind_read_the_same(tmp_path, suffix):
    path, frame = tmp_path / f"runs.{suffix}", pd.DataFrame(ROWS)
    writers = {
        "csv": lambda: frame.to_csv(path, index=False),
        "json": lambda: frame.to_json(path),
        "jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        "parquet": lambda: frame.to_parquet(path),
    }
    writers[suffix]()
    table = tables.load_table(path)
    assert table[["m", "ell", "D", "loss"]].to_numpy().tolist() == frame.to_numpy().tolist()
    assert table.attrs["name"] == "runs"


def test_columns_can_be_mapped(tmp_path):
    frame = pd.DataFrame(ROWS).rename(columns={"m": "width", "loss": "nll"})
    table = tables.load_table(frame, {"m": "width", "loss": "nll"})
    assert table["m"].tolist() == ROWS["m"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"loss": [4.0, -1, 3]}, "row 1"),
        ({"loss": [4.0, float("nan"), 3]}, "positive and finite"),
        ({"D": ["many", 2, 3]}, "column D"),
    ],
)
def test_bad_values_are_refused(change, word):
    with pytest.raises(InputError, match=word):
        tables.load_table(pd.DataFrame(ROWS | change))


def test_missing_columns_are_named():
    with pytest.raises(InputError, match="missing columns ell, loss"):
        tables.load_table(pd.DataFrame({"m": [1], "D": [1]}))
    with pytest.raises(InputError, match="no column width"):
        tables.load_table(pd.DataFrame(ROWS), {"m": "width"})


def test_wrong_units_are_reported():
    table = tables.load_table(pd.DataFrame(ROWS | {"D": [0.1, 0.2, 0.4]}))
    assert "check its unit" in table.attrs["warnings"][0]


def test_unreadable_files_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "a.parquet").write_text("x")
    for name, word in (
        ("a.txt", "use one of"),
        ("a.parquet", "not a readable"),
        ("b.csv", "neither"),
    ):
        with pytest.raises(InputError, match=word):
            tables.load_table(tmp_path / name)


def test_without_network_the_refusal_says_where_it_looked(offline):
    with pytest.raises(
        tables.TableUnavailable, match=r"COMPANION_DATA \(not set\).*chinchilla.csv"
    ):
        tables.load_table("chinchilla")


def test_corrupt_download_is_kept_aside(offline, monkeypatch):
    served(monkeypatch, b"not the table")
    with pytest.raises(InputError, match="checksum error"):
        tables.load_table("chinchilla")
    kept = offline / "cache" / "chinchilla.csv.corrupt"
    assert kept.read_bytes() == b"not the table"
    assert not (offline / "cache" / "chinchilla.csv").exists()


def test_corrupt_data_folder_is_refused_and_left_alone(offline, monkeypatch):
    (offline / "chinchilla.csv").write_text("x")
    monkeypatch.setenv("COMPANION_DATA", str(offline))
    with pytest.raises(InputError, match="checksum error"):
        tables.load_table("chinchilla")
    assert (offline / "chinchilla.csv").exists()


def test_dropping_the_highest_drops_ties():
    frame = pd.DataFrame({"m": 1.0, "ell": 1.0, "D": 1.0, "loss": [1.0, 2, 3, 3, 4]})
    assert tables.drop_highest(frame, 2)["loss"].tolist() == [1, 2]
    assert len(tables.drop_highest(frame, 0)) == 5
    with pytest.raises(InputError, match="cannot drop"):
        tables.drop_highest(frame, 5)


def test_published_tables(data_folder):
    chinchilla, gemstones = tables.load_table("chinchilla"), tables.load_table("gemstones")
    assert len(chinchilla) == 245
    assert len(tables.drop_highest(chinchilla, 40)) == 203
    assert len(set(tables.clusters(chinchilla))) == 39 + 4  # shapes of all rows, 39 after the cut
    assert len(gemstones) == 770
    assert len(set(tables.clusters(gemstones))) == 22
    assert chinchilla.attrs["source"].startswith(os.environ["COMPANION_DATA"])


@pytest.mark.parametrize(
    "names",
    [
        {"m": "d_model", "ell": "n_layers", "D": "tokens", "loss": "final_loss"},
        {"m": "Width", "ell": "Depth", "D": "Training Tokens", "loss": "Val_Loss"},
    ],
)
def test_names_that_others_use_are_recognised_and_told(names):
    table = tables.load_table(pd.DataFrame(ROWS).rename(columns=names))
    assert (
        table[["m", "ell", "D", "loss"]].to_numpy().tolist()
        == pd.DataFrame(ROWS).to_numpy().tolist()
    )
    told = tables.columns_sentence(tables.load_table(table))
    assert all(f"{theirs} as {ours}" in told for ours, theirs in names.items())
    assert tables.columns_sentence(tables.load_table(pd.DataFrame(ROWS))) == ""


def test_our_own_names_go_before_others_and_doubt_is_refused():
    both = pd.DataFrame(ROWS).assign(depth=7)
    assert tables.load_table(both)["ell"].tolist() == ROWS["ell"]
    twice = pd.DataFrame(ROWS).rename(columns={"loss": "val_loss"}).assign(test_loss=1.0)
    with pytest.raises(InputError, match="--column loss=val_loss"):
        tables.load_table(twice)


def test_a_refused_value_shows_no_numpy_type_and_a_missing_column_its_flag():
    with pytest.raises(InputError, match=r"row 1 has nan$"):
        tables.load_table(pd.DataFrame(ROWS | {"loss": [4.0, float("nan"), 3]}))
    with pytest.raises(InputError, match="--column ell=NAME --column loss=NAME"):
        tables.load_table(pd.DataFrame({"m": [1], "D": [1]}))
