"""What a study is: settings, seeds that are run one by one, what they say together, and the pages that show it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from spanwise.core import Config, ConfigError, write_text

SettingsT = TypeVar("SettingsT", bound=Config)
ResultT = TypeVar("ResultT")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where a study reads and writes."""

    output: Path
    data: Path
    """Folder of the data set; studies of the simulated world need none."""
    docs: Path | None = None
    """Page in Markdown to write."""
    readme: Path | None = None
    """README whose table of results to renew."""


class Study(ABC, Generic[SettingsT, ResultT]):
    """A study with its settings; what it has done already lies in `place.output` and is not done again.

    A study that is one run has no seeds: `summarise` does its work. `threads` are those of torch; 0 leaves the choice
    to torch.
    """

    seeds: ClassVar[tuple[int, ...]] = (0, 1, 2, 3, 4)
    threads: ClassVar[int] = 0

    def __init__(self, settings: SettingsT, place: Place) -> None:
        self.settings = settings
        self.place = place

    @classmethod
    @abstractmethod
    def defaults(cls) -> SettingsT:
        """The settings of the documented results."""

    @classmethod
    def configured(cls, values: Sequence[str], output: Path, *, tiny: bool = False) -> SettingsT:
        """The defaults with the `key=value` settings put over them; they stay beside the results for reference."""
        path = output / "defaults.yaml"
        defaults = cls.tiny() if tiny else cls.defaults()
        defaults.save(path)
        return type(defaults).load(path, values)

    @classmethod
    def tiny(cls) -> SettingsT:
        """The defaults in sizes that end soon and prove nothing; ConfigError where there are none."""
        raise ConfigError(f"{cls.__name__} has no tiny size; make it smaller with key=value.")

    def finished(self, seed: int) -> bool:
        """Whether all of a seed is there."""
        raise NotImplementedError

    def run_seed(self, seed: int, say: Say) -> None:
        """Does what is missing of a seed."""
        raise NotImplementedError

    @abstractmethod
    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> ResultT:
        """What the finished seeds say together."""

    @abstractmethod
    def pages(self, result: ResultT, say: Say, *, command: str) -> None:
        """Writes results and pages, and says the verdicts."""


class PagedStudy(Study[SettingsT, ResultT]):
    """A study with one file a seed and one page in Markdown, which is printed and written beside them and to --docs."""

    rows: ClassVar[str] = "rows"
    """What the files of the seeds are called."""
    name: ClassVar[str]
    """What the page is called."""

    def finished(self, seed: int) -> bool:
        """Whether the file of the seed is there."""
        return self.file(seed).exists()

    def file(self, seed: int) -> Path:
        """What a seed leaves."""
        return self.place.output / f"{self.rows}-{seed}.json"

    @abstractmethod
    def page(self, result: ResultT, command: str) -> str:
        """The page as a function of the results."""

    def pages(self, result: ResultT, say: Say, *, command: str) -> None:
        """The page, beside the rows and where --docs says."""
        text = self.page(result, command)
        for path in filter(None, (self.place.output / f"{self.name}.md", self.place.docs)):
            write_text(path, text)
        say(f"\n{text}")
