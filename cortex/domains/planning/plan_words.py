"""The domain's texts for pages and cards."""

from cortex.domains.data_words import DataWords, SourceTerms
from cortex.evaluation.card_words import CardWords

NOTES = (
    "The excess cost is 1 - best cost / cost of a plan, and 1 for a plan that breaks a rule. The best cost is "
    "proven by OR-tools' CP-SAT. `usual` gives the most frequent best plan of training problems of the kind, "
    "`drawn` a random one, `greedy` takes one thing after another, and each in its nearest way.",
    "No test problem is in training, not even with its jobs, boxes, tasks or robots in another order.",
)

CARD = CardWords(
    what="plans: it schedules jobs, delivers boxes, allocates tasks, and moves robots that share their roads.",
    task="Planning with solver-proven optima",
    dataset_type="planning",
    tags=("planning", "reasoning"),
    limits=("It has been judged on problems that a program makes, of the sizes listed above.",),
)

DRAWN = SourceTerms("generator", "Drawn and solved by this program, with OR-tools; no text of others is in it.")
FROM_FILE = SourceTerms("problems", "Problems of a file of the user's; their terms are its author's.")


def data_words(source: object) -> DataWords:
    """The texts for the card of a dataset of drawn problems, or of problems of a file."""
    terms = FROM_FILE if source == FROM_FILE.name else DRAWN
    return DataWords("An example is a planning problem, its best plan, and that plan's cost.", (terms,))
