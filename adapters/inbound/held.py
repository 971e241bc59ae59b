"""The memory that frames of all links hold together while they are unfinished, or large and waiting; and who gives way when it is much.

Of the senders with large unfinished frames the one that holds the most gives way first, by the largest of these. What is whole
gives way to nobody: it is under way, and is gone soonest by being taken. What is small makes no room.
"""

from collections import Counter
from typing import Final, Protocol

_BYTES_MAX: Final = 1024 * 1024 * 1024
_SMALL_BYTES: Final = 256 * 1024  # of an unfinished frame


class Holder(Protocol):
    """A link, as far as this goes."""

    def drop(self, reason: str) -> None:
        """Close without an answer, and hold nothing any more."""

    def set_reading(self) -> None:
        """Read on, or not: whether it is slowed has changed."""


class Held:
    """What each link holds."""

    def __init__(self) -> None:
        self.total = 0  # bytes of all
        self.slowed: set[Holder] = set()  # links not to be read for now
        self._shares: dict[Holder, tuple[str, int, int]] = {}

    def put(self, link: Holder, sender: str, unfinished: int, large: int) -> None:
        """What a link holds from now on, in bytes: of its unfinished frame, and of large ones that are whole and wait."""
        _sender, *before = self._shares.pop(link, ("", 0, 0))
        self.total += unfinished + large - sum(before)
        if unfinished or large:
            self._shares[link] = (sender, unfinished, large)

    def slow_down(self) -> None:
        """Above half of the limit: of the sender that holds the most only the largest frame, the nearest to its end, is read on,
        and those below the mean. To be asked again and again."""
        before, heaviest = self.slowed, self._heaviest() if self.total > _BYTES_MAX // 2 else []
        mean = sum(size for _link, size in heaviest) / (len(heaviest) or 1)
        self.slowed = {link for link, size in heaviest[1:] if size >= mean}
        for link in before ^ self.slowed:
            link.set_reading()

    def make_room(self) -> None:
        """Above the limit, where slowing was not enough, close the links with the largest frames; their senders try again."""
        while self.total > _BYTES_MAX and (heaviest := self._heaviest()):
            heaviest[0][0].drop("OVERLOADED")

    def _heaviest(self) -> list[tuple[Holder, int]]:
        """Of the sender that holds the most, the links with a large unfinished frame and its bytes, the largest first."""
        weights: Counter[str] = Counter()
        for sender, unfinished, large in self._shares.values():
            weights[sender] += unfinished + large
        begun = {
            link: (sender, unfinished) for link, (sender, unfinished, _large) in self._shares.items() if unfinished > _SMALL_BYTES
        }
        most = max((sender for sender, _size in begun.values()), key=weights.__getitem__, default="")
        of_most = [(link, size) for link, (sender, size) in begun.items() if sender == most]
        return sorted(of_most, key=lambda one: one[1], reverse=True)
