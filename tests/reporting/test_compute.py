"""The table of what a run cost, from a record."""

from flatvae.reporting import compute, tables

RECORD = {
    "training": {
        "pendulum/vae": {
            "seconds": 50.0,
            "max_rss_mb": 400.0,
            "steps": 3000,
            "seeds": 5,
            "threads": 1,
            "device": {"name": "cpu"},
        },
        "pendulum/flat_vae": {
            "seconds": 10.0,
            "max_rss_mb": 900.0,
            "steps": 2000,
            "seeds": 10,
            "threads": 1,
            "device": {"name": "H200", "driver": "570", "cuda": "12.8", "memory_mb": 123.0},
        },
    },
    "evaluation": {
        "pendulum/vae": {
            "flatness": {"seconds": 3.0, "max_rss_mb": 700.0},
            "likelihood": {"seconds": 4.5, "max_rss_mb": 300.0},
        },
        "pendulum/flat_vae": {},
    },
}


def test_sums_rates_and_peaks():
    found = compute.rows(RECORD).set_index(["method", "metric"])["value"].to_dict()
    assert found == {
        ("vae", "train_seconds"): 50,
        ("vae", "steps_per_second"): 300,
        ("vae", "evaluation_seconds"): 7.5,
        ("vae", "peak_memory_mb"): 700,
        ("vae", "threads"): 1,
        ("vae", "gpu"): 0,
        ("flat_vae", "train_seconds"): 10,
        ("flat_vae", "steps_per_second"): 2000,
        ("flat_vae", "evaluation_seconds"): 0,
        ("flat_vae", "peak_memory_mb"): 900,
        ("flat_vae", "threads"): 1,
        ("flat_vae", "gpu"): 1,
        ("flat_vae", "gpu_memory_mb"): 123,
    }


def test_the_table():
    table = tables.task_table(compute.rows(RECORD), "compute", ["pendulum"], ["vae", "flat_vae"], 1)
    lines = [line for line in tables.to_markdown(table).splitlines() if line.startswith("| pendulum")]
    assert [[cell.strip() for cell in line.split("|")[2:-1]] for line in lines] == [
        ["vae", "1", "50", "300", "7.5", "700", "1", "0", "–"],
        ["flat_vae", "1", "10", "2000", "0", "900", "1", "1", "123"],
    ]
