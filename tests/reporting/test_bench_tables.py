"""Quartiles and figure of `automix bench`."""

from automix_cli.reporting.bench_tables import growth_figure, spread


def test_quartiles_of_five() -> None:
    assert spread([5.0, 1.0, 4.0, 2.0, 3.0]) == (2.0, 4.0)
    assert spread([7.0]) == (7.0, 7.0)


def test_the_figure_shows_every_value() -> None:
    rows = [
        {
            "value": f"a.b={n}",
            "seconds": [n],
            "flops": 3e9 * n,
            "peak_memory_bytes": n * 2**20,
        }
        for n in (1, 2, 4)
    ]
    times, arithmetic, memory = growth_figure(rows).axes
    assert times.lines[0].get_ydata().tolist() == [1000, 2000, 4000]
    assert arithmetic.lines[0].get_ydata().tolist() == [3, 6, 12]
    assert memory.lines[0].get_ydata().tolist() == [1, 2, 4]
    assert times.get_xlabel() == "a.b"


def test_memory_that_was_not_measured_is_left_out() -> None:
    rows = [{"value": "a.b=1", "seconds": [1.0], "flops": 1e9, "peak_memory_bytes": None}] * 2
    assert len(growth_figure(rows).axes) == 2
