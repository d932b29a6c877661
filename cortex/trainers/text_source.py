"""Texts of a source, streamed by Hugging Face `datasets`: from the hub at a commit, or from files of this machine."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from cortex.errors import ConfigError, DataError
from cortex.profiles.pretrain_section import reader_of
from cortex.trainers.text_stream import Encode, Rows, Source, State


class StreamedSource(BaseModel):
    """A source as the stage has pinned it, ready to be streamed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dataset: str | None = None
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    files: tuple[str, ...] = ()
    """Paths of this machine, in order."""
    conversations: bool = False
    """True where a row is a conversation in the column `messages`, which the tokenizer's chat template writes."""
    column: str = "text"
    least: dict[str, float] = {}
    weight: float = 1.0
    epochs: int = 1

    def stream(self) -> Any:
        """The rows as an `IterableDataset`, none of them read yet.

        Raises:
            ConfigError, DataError: the hub has no such data set or cannot be reached, or a file cannot be read.
        """
        from datasets import load_dataset
        from datasets.exceptions import DatasetNotFoundError

        try:
            if self.dataset:
                return load_dataset(self.dataset, self.config, split=self.split, revision=self.revision, streaming=True)
            reader = reader_of(self.files[0]) or "json"
            return load_dataset(reader, data_files=list(self.files), split="train", streaming=True)
        except (DatasetNotFoundError, ValueError, FileNotFoundError) as error:
            raise ConfigError(f"{self.name} cannot be opened: {_line(error)}: correct the source") from error
        except (OSError, RuntimeError) as error:  # of the hub's client: without a network, and once it has given up
            raise DataError(
                f"{self.name} cannot be reached ({_line(error)}): run the same command again once it answers"
            ) from error


class StreamedRows:
    """One reading of a source, as `Rows`."""

    def __init__(self, source: StreamedSource, tokenizer: Any, state: State | None) -> None:
        self._source, self._tokenizer = source, tokenizer
        self._dataset = source.stream()
        if state is not None:
            self._dataset.load_state_dict(state)

    def __iter__(self) -> Iterator[str | None]:
        from datasets.exceptions import DatasetGenerationError

        rows = iter(self._dataset)
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except DatasetGenerationError as error:
                raise DataError(f"{self._source.name} cannot be read: {_line(error.__cause__ or error)}") from error
            except OSError as error:
                raise DataError(
                    f"{self._source.name} stopped answering ({_line(error)}): run the same command again; it goes on "
                    "from its last checkpoint"
                ) from error
            except (ValueError, KeyError) as error:
                raise DataError(f"{self._source.name} cannot be read: {_line(error)}") from error
            yield self._text(row)

    def state_dict(self) -> State:
        return self._dataset.state_dict()

    def _text(self, row: Mapping[str, Any]) -> str | None:
        source = self._source
        for name, least in source.least.items():
            value = _cell(row, name, source)
            if not isinstance(value, int | float) or value < least:
                return None
        if source.conversations:
            messages = _cell(row, "messages", source)
            return str(self._tokenizer.apply_chat_template(messages, tokenize=False)).strip()
        text = _cell(row, source.column, source)
        if text is not None and not isinstance(text, str):
            raise ConfigError(
                f"{source.name}: column {source.column} holds {type(text).__name__}, no text: name another `column`"
            )
        return text


def streamed(source: StreamedSource, tokenizer: Any) -> Source:
    """A pinned source for a stream, with the tokens of its texts."""

    def read(state: State | None) -> Rows:
        return StreamedRows(source, tokenizer, state)

    return Source(source.name, source.weight, source.epochs, read, _encoder(tokenizer, special=source.conversations))


def sample(source: StreamedSource, characters: int) -> Iterator[str]:
    """Texts from a source's beginning, of so many characters in all, for training a tokenizer: of a conversation, its
    messages."""
    left = characters
    for text in _messages(source) if source.conversations else StreamedRows(source, None, None):
        if text:
            yield text[:left]
            left -= len(text)
        if left <= 0:
            return


def _messages(source: StreamedSource) -> Iterator[str]:
    for row in source.stream():
        yield from (str(message["content"]) for message in row["messages"])


def _encoder(tokenizer: Any, *, special: bool) -> Encode:
    """The tokens of texts, each with its end-of-text token. Where texts are not the chat template's own, the names of
    special tokens in them are read as plain text."""
    end = tokenizer.eos_token_id

    def encode(texts: Any) -> list[list[int]]:
        ids = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=not special, verbose=False)
        return [one if one and one[-1] == end else [*one, end] for one in ids["input_ids"]]

    return encode


def _cell(row: Mapping[str, Any], name: str, source: StreamedSource) -> Any:
    if name not in row:
        raise ConfigError(f"{source.name} has no column {name!r}: it has {', '.join(row)}")
    return row[name]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
