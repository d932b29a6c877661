"""Execution of the road test: the steps in order, and, whatever their results, the end of what they launched."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cortex.errors import CortexError
from scripts.roadtest.interrupts import Interrupts
from scripts.roadtest.road import Road
from scripts.roadtest.step import Line, State, Step

INTERRUPTED = "it was interrupted"


@dataclass
class Walk:
    """One execution of the road test."""

    road: Road
    interrupts: Interrupts
    say: Callable[[Line], None]
    """Function that is called with each line as soon as it exists."""

    def take(self, steps: Sequence[Step]) -> list[Line]:
        """Do each step that can be done, and return a line for each. Steps with `always` come last, and are done
        whatever happens, even after an error of this program itself."""
        lines = list[Line]()
        try:
            for step in (step for step in steps if not step.always):
                lines.append(self._line(step, lines))
                if lines[-1].detail == INTERRUPTED:
                    break
        except KeyboardInterrupt:
            pass  # between two steps: the remaining ones are not reached
        finally:
            self.interrupts.begin_ending()
            known = {line.name for line in lines}
            skipped = [step for step in steps if not step.always and step.name not in known]
            lines += [self._report(step, "not reached", "", 0, 0) for step in skipped]
            if self.road.begun:
                for step in (step for step in steps if step.always):
                    lines.append(self._line(step, lines))
        return lines

    def _line(self, step: Step, before: Sequence[Line]) -> Line:
        missing = [line.name for line in before if line.name in step.needs and line.state in ("FAILED", "not reached")]
        if missing:
            return self._report(step, "not reached", f"needs {', '.join(missing)}", 0, 0)
        began, spent = time.monotonic(), self.road.spent
        state: State
        try:
            self.road.begin_step(step.seconds)
            found = step.do(self.road)
            state, detail = ("passed" if found.proven else "not proven here"), found.detail
        except (CortexError, OSError) as error:  # such as a full disk here; what was rented must be ended all the same
            state, detail = "FAILED", " ".join(str(error).split())
        except KeyboardInterrupt:
            state, detail = "FAILED", INTERRUPTED
        return self._report(step, state, detail, time.monotonic() - began, self.road.spent - spent)

    def _report(self, step: Step, state: State, detail: str, seconds: float, dollars: float) -> Line:
        line = Line(step.name, step.proves, state, detail, round(seconds, 1), round(dollars, 4))
        self.say(line)
        return line
