"""Scheduling: jobs whose operations each need a machine for some minutes, in a fixed order; a job shop."""

import string
from typing import ClassVar, Literal, Self

from pydantic import field_validator

from cortex.domains.planning.plan_problem import LONGEST_PLAN, BrokenRuleError, Plan, PlanProblem, Run

Operation = tuple[int, int]
"""A machine, from 1, and the minutes that it is needed."""

JOBS = string.ascii_uppercase


class Scheduling(PlanProblem):
    """Jobs on machines, to be done as early as possible."""

    kind: Literal["scheduling"] = "scheduling"
    jobs: tuple[tuple[Operation, ...], ...]
    """The operations of each job, in their order."""

    sign: ClassVar[str] = "S"
    price: ClassVar[str] = "minutes until the last job ends"
    rules: ClassVar[str] = (
        "Schedule jobs on machines. `jobs` lists each job's operations in their order, each as [machine, minutes]. "
        "The jobs are called A, B, C and so on. A machine does one operation at a time, and an operation begins when "
        "the one before it in its job is done. The plan is the order in which operations are given to their "
        "machines: write a job's letter once for each of its operations. Each operation begins as early as that "
        "order allows. Finish the last job as early as possible."
    )

    @field_validator("jobs")
    @classmethod
    def _possible(cls, jobs: tuple[tuple[Operation, ...], ...]) -> tuple[tuple[Operation, ...], ...]:
        operations = [operation for job in jobs for operation in job]
        if not all(jobs) or not 1 <= len(operations) <= LONGEST_PLAN or len(jobs) > len(JOBS):
            raise ValueError(f"give 1 to {len(JOBS)} jobs, each with operations, and at most {LONGEST_PLAN} in all")
        wrong = next((each for each in operations if not (1 <= each[0] <= 9 and 1 <= each[1] <= 999)), None)
        if wrong:
            raise ValueError(f"operation {list(wrong)}: machines are 1 to 9, and minutes 1 to 999")
        return jobs

    @property
    def word(self) -> str:
        return f"[A-{JOBS[len(self.jobs) - 1]}]"

    def brief(self) -> str:
        return " ".join(("S", *("".join(f"{machine}{minutes}" for machine, minutes in job) for job in self.jobs)))

    @classmethod
    def of_brief(cls, parts: list[str]) -> Self:
        return cls(jobs=tuple(tuple(zip(map(int, job[::2]), map(int, job[1::2]), strict=True)) for job in parts))

    def key(self) -> str:
        return f"scheduling {sorted(self.jobs)}"

    def run(self, plan: Plan) -> Run:
        done, free, ready = [0] * len(self.jobs), dict[int, int](), [0] * len(self.jobs)
        steps: list[str] = []
        for name in plan:
            job = JOBS.index(name)
            if done[job] == len(self.jobs[job]):
                raise BrokenRuleError(f"job {name} has only {done[job]} operations")
            machine, minutes = self.jobs[job][done[job]]
            start = max(ready[job], free.get(machine, 0))
            done[job] += 1
            ready[job] = free[machine] = start + minutes
            steps.append(f"{name}{done[job]} on machine {machine} from {start} to {start + minutes}")
        for name, count, operations in zip(JOBS, done, self.jobs, strict=False):
            if count < len(operations):
                raise BrokenRuleError(f"job {name} is not done: {count} of {len(operations)} operations")
        return Run(max(ready), tuple(steps))

    def greedy(self) -> Plan:
        # Whatever can begin first, does: the earlier in the list of those that begin at the same time.
        done, free, ready = [0] * len(self.jobs), dict[int, int](), [0] * len(self.jobs)
        plan: list[str] = []
        while len(plan) < sum(map(len, self.jobs)):
            start, job = min(
                (max(ready[at], free.get(job[done[at]][0], 0)), at)
                for at, job in enumerate(self.jobs)
                if done[at] < len(job)
            )
            machine, minutes = self.jobs[job][done[job]]
            done[job] += 1
            ready[job] = free[machine] = start + minutes
            plan.append(JOBS[job])
        return tuple(plan)
