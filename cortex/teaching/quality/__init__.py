"""Quality of a teacher's answers by rules that hold in any domain: each finds reasons to flag or reject an answer."""
