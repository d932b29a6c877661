"""Tasks of reasoning-gym that cannot serve as examples, and those whose verifiers need care."""

_ELSEWHERE = "its questions differ from one process to the next, so that equal seeds give other examples"

REFUSED = {
    "acre": "each of its questions needs all earlier ones, so that examples cannot be judged one by one",
    "coin_flip": "its verifier takes the first digits of an answer for all of it, so that 0 is right almost always",
    "composite": "it mixes other tasks: name them here, with weights",
    "game_of_life_halting": "its verifier takes any reply for 'False'",
    "isomorphic_strings": _ELSEWHERE,
    "knight_swap": _ELSEWHERE,
    "list_functions": _ELSEWHERE,
    "polynomial_multiplication": _ELSEWHERE,
    "ransom_note": _ELSEWHERE,
    "word_ladder": _ELSEWHERE,
}
"""Reasons why a task is refused. Tests look for others that differ between processes."""

NEEDS = {"codeio": "zss", "game_of_life": "cellpylib", "zebra_puzzles": "pycosat"}
"""Tasks that need a package which comes as source alone, so that the kit's environments do not have it."""

NO_ANSWER = ("boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour")
"""Tasks whose questions come without an answer: replies can be verified, but a script has none to give."""

EVALUATED = {
    "binary_matrix": r"[\w\s,\[\]]*",
    "countdown": r"[\d\s+\-*/().]*",
    "intermediate_integration": r"[\w\s+\-*/().]*",
    "n_queens": r"[\w\s,\[\]'\"]*",
    "puzzle24": r"[\d\s+\-*/().]*",
    "simple_integration": r"[\w\s+\-*/().]*",
    "spiral_matrix": r"[\w\s,\[\]]*",
    "string_insertion": r"[\w\s,\[\]'\"]*",
}
"""Tasks whose verifiers evaluate a reply as Python, with the characters that an answer may have: where names are
allowed at all, there are no parentheses to call them, or `FUNCTIONS` are the only ones."""

FUNCTIONS = r"Abs|a?(?:cos|cot|sin|tan)h?|csc|exp|ln|log|pi|sec|sqrt"
"""Names of more than one letter that an answer with parentheses may have: a pattern."""
