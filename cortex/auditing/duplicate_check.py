"""Questions that are in two splits: the same, or nearly.

Near-duplicates are found by MinHash and locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman and Ullman,
"Mining of Massive Datasets", ch. 3), and then compared exactly.
"""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import polars as pl
from datasketch import MinHash, MinHashLSH

from cortex.auditing.audit_record import Check
from cortex.domains.audit_view import AuditView
from cortex.domains.example_columns import SPLITS

BANDS, BAND = 12, 3
"""Two questions that share 60% of their tokens have one of 12 bands of 3 hashes in common in 95% of cases, two that
share 80% in all but one of 7,000; two that share 10% in 1%."""

FEWEST = 4
"""Tokens below which a question is too short to be nearly another one."""

COMMON_SHARE, COMMON = 0.01, 20
"""A token of more than this share of the questions, and of more than this number, is a form that they all have."""


def check_duplicates(rows: pl.DataFrame, view: AuditView) -> list[tuple[Check, str]]:
    """Findings on questions in two splits."""
    listed = rows.select("id", "split").with_columns(view.tokens.alias("tokens"))
    listed = listed.filter(pl.col("tokens").list.len() > 0)
    same = listed.with_columns(pl.col("tokens").list.join("\n").hash().alias("hash"))
    found: list[tuple[Check, str]] = []
    exact: set[str] = set()
    for earlier, later in combinations(SPLITS, 2):
        one, other = (same.filter(pl.col("split") == split) for split in (earlier, later))
        pairs = one.join(other, on="hash", suffix="_other")
        # Series without a move have no tokens that tell them apart: those with few tokens may be alike by chance.
        pairs = pairs.filter(pl.col("tokens").list.len() >= (FEWEST if view.known else 1))
        if pairs.height:
            first = pairs.select("id", "id_other").row(0)
            exact |= set(pairs["id_other"])
            count = pairs["id_other"].n_unique()
            found.append(
                ("duplicates", f"{count:,} {later} questions are in {earlier}, too, such as {first[1]} as {first[0]}")
            )
    return found + [
        ("near-duplicates", text) for text in _near(listed.filter(~pl.col("id").is_in(sorted(exact))), view.alike)
    ]


def _near(listed: pl.DataFrame, alike: float) -> Iterable[str]:
    sketched = _candidates(listed)
    tokens = {row: set(hashes) for row, hashes in sketched.select("row", "hashes").iter_rows()}
    names = dict(sketched.select("row", "id").iter_rows())
    sketches = _sketches(tokens)
    index: dict[str, MinHashLSH] = {}
    for split in SPLITS:
        of_split = sketched.filter(pl.col("split") == split)["row"].to_list()
        for earlier, known in index.items():
            pairs = [
                (other, row, len(tokens[row] & tokens[other]) / len(tokens[row] | tokens[other]))
                for row in of_split
                for other in known.query(sketches[row])
            ]
            pairs = [pair for pair in pairs if pair[2] >= alike]
            if pairs:
                count = len({row for _, row, _ in pairs})
                other, row, share = pairs[0]
                yield (
                    f"{count:,} {split} questions are nearly in {earlier}, such as {names[row]} as {names[other]} "
                    f"({share:.0%} alike)"
                )
        index[split] = MinHashLSH(num_perm=BANDS * BAND, params=(BANDS, BAND))
        with index[split].insertion_session() as session:
            for row in of_split:
                session.insert(row, sketches[row], check_duplication=False)


def _candidates(listed: pl.DataFrame) -> pl.DataFrame:
    """The questions that share half of their tokens with some of another split: row, id, split, hashes (32 bits)."""
    numbered = listed.with_row_index("row")
    tokens = numbered.select("row", "split", pl.col("tokens").list.eval(pl.element().hash())).explode("tokens")
    # 32 bits suffice: two tokens of a question have the same once in millions of questions.
    tokens = tokens.with_columns((pl.col("tokens") % 2**32).cast(pl.UInt32).alias("hash"))
    counts = tokens.group_by("hash").agg(pl.len().alias("count"), pl.col("split").n_unique().alias("splits"))
    rare = counts.filter(pl.col("count") <= max(COMMON, COMMON_SHARE * len(listed)))
    kept = (
        tokens.join(rare, on="hash")
        .group_by("row")
        .agg(pl.col("hash").unique().alias("hashes"), (pl.col("splits") > 1).mean().alias("shared"))
        .filter((pl.col("hashes").list.len() >= FEWEST) & (pl.col("shared") >= 0.5))
    )
    return numbered.select("row", "id", "split").join(kept, on="row").sort("row")


def _sketches(tokens: dict[int, set[int]]) -> dict[int, MinHash]:
    made = MinHash.generator(
        (np.fromiter(hashes, np.uint32, len(hashes)).tolist() for hashes in tokens.values()),
        num_perm=BANDS * BAND,
        hashfunc=int,
        scheme="affine32",
    )
    return dict(zip(tokens, made, strict=True))
