"""The table of gains that docs/finetuning.md shows."""

import sys

from examples import finetune_toy


def test_a_table_has_a_line_for_each_seed_and_their_mean(capsys, monkeypatch, tmp_path):
    numbers = iter([(10.0, 40.0), (20.0, 60.0)])

    def measure(options, seed):
        before, after = next(numbers)
        return {"seed": seed, "before": before, "after": after, "minutes": 2.0, "CPU minutes": 1.0}

    monkeypatch.setattr(finetune_toy, "_measure", measure)
    monkeypatch.setattr(sys, "argv", ["finetune_toy.py", "--output-dir", str(tmp_path / "out"), "--seeds", "0", "7"])
    finetune_toy.main()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()]
    assert rows[0][:4] == ["seed", "before", "after", "gain"]
    assert rows[2][:4] == ["0", "10.0", "40.0", "30.0"] and rows[3][:4] == ["7", "20.0", "60.0", "40.0"]
    assert rows[4] == ["mean", "15.0", "50.0", "35.0 ± 7.1", "2.0", "1.0"]
    assert (tmp_path / "out" / "results.json").is_file()
