"""What a check of a dataset found, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field


@dataclass
class SplitCheck:
    """The sizes of a split.

    Attributes:
        split: Its name.
        found: How many complete images there are.
        expected: How many there should be, or None if nothing says so.
        files: How many entries every folder and file of it has.
    """

    split: str
    found: int
    expected: int | None
    files: dict[str, int] = field(default_factory=dict)


@dataclass
class CheckResult:
    """What was found in a release or in a prepared dataset.

    Attributes:
        path: What was checked.
        dataset: Its name, or "unknown".
        kind: "release" or "prepared".
        expected_from: Where the expected numbers come from. Those of the card of a prepared dataset must be met; those
            of the paper are for comparison, since a release may hold a part of the images.
        splits: Sizes of the splits.
        problems: Everything that is wrong.
        notes: What is odd but harmless.
    """

    path: str
    dataset: str = "unknown"
    kind: str = "release"
    expected_from: str = "paper"
    splits: list[SplitCheck] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def to_json(self) -> str:
        """All attributes and `ok` as a JSON object."""
        return json.dumps({"ok": self.ok, **asdict(self)}, indent=1, ensure_ascii=False)

    def to_text(self) -> str:
        """The same for people."""
        lines = [f"{self.path}: {self.dataset} ({self.kind})"]
        if self.splits:
            lines.append(f"{'split':<24}{'found':>8}{f'expected ({self.expected_from})':>20}  files")
        for split in self.splits:
            expected = "-" if split.expected is None else split.expected
            files = ", ".join(f"{name} {count}" for name, count in split.files.items())
            lines.append(f"{split.split:<24}{split.found:>8}{expected:>20}  {files}".rstrip())
        lines.extend(f"note: {note}" for note in self.notes)
        count = f"{len(self.problems)} problem{'' if len(self.problems) == 1 else 's'}"
        lines.append(f"{count}:" if self.problems else "No problem.")
        lines.extend(f"- {problem}" for problem in self.problems)
        return "\n".join(lines)
