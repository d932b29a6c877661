"""The page of a run: its verdict, money, curves, answers and origins in one file; and how runs compare."""
