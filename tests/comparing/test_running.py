"""Which runs are trained, when they end, and what is kept: with a pool that answers at once."""

from __future__ import annotations

import json

import pytest

from rllib_recattn.comparing.compare import comparison_of
from rllib_recattn.comparing.fitting import fit_budget
from rllib_recattn.comparing.page import FIGURE, WINNER, write_report
from rllib_recattn.comparing.result import Point, read_run
from rllib_recattn.comparing.running import missing_runs, state_of, train_missing
from rllib_recattn.comparing.search import chosen_rate, search_scores
from rllib_recattn.comparing.sentences import recommendation
from rllib_recattn.comparing.solving import first_confirmed
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.load import load_experiment
from tests.comparing.cases import FakePool, plan_of


def train(plan, pool, state=None, jobs=2, on_change=lambda run, state: None):
    state = state_of(plan) if state is None else state
    train_missing(plan, state, pool, jobs, 100, on_change)
    return state


def gla_learns(run):
    return 1024 if run.contender.label == "gla" else None


def test_what_is_killed_goes_on_with_what_is_missing(tmp_path):
    plan, pool = plan_of(tmp_path), FakePool(gla_learns)

    def kill(run, state):
        if len(state.done) == 2:
            raise SystemExit

    with pytest.raises(SystemExit):
        train(plan, pool, on_change=kill)
    kept = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json")}
    assert len(kept) == 2
    again = FakePool(gla_learns)
    state = train(plan, again)
    assert len(again.begun) == 2
    assert len(state.done) == 4
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert missing_runs(plan, state_of(plan)) == []


def test_more_models_and_seeds_train_what_is_new(tmp_path):
    train(plan_of(tmp_path), FakePool(gla_learns))
    pool = FakePool(gla_learns)
    train(plan_of(tmp_path, ["gla", "gru", "lstm"], seeds=3), pool)
    assert sorted(pool.begun) == ["gla, seed 2", "gru, seed 2", "lstm, seed 0", "lstm, seed 1", "lstm, seed 2"]


def test_solved_is_a_window_that_the_next_one_confirms():
    def points(*rates, episodes=60):
        goals = [{} if rate is None else {"rate": rate} for rate in rates]
        return [
            Point(steps=100 * index, episodes=episodes * index, seconds=index, goals=goal)
            for index, goal in enumerate(goals, 1)
        ]

    def solved(*rates, **more):
        found = first_confirmed(points(*rates, **more), {"rate": 0.95}, 100)
        return None if found is None else found.steps

    assert solved(None, 0.5, 0.96, 0.9, 0.97) == 300  # the one between shares episodes with the window
    assert solved(0.96, 0.97, 0.9, 0.97, 0.96) is None
    assert solved(0.96, 0.97, 0.9, 0.97, 0.96, 0.95) == 400
    assert solved(0.96, 0.96, episodes=100) == 100
    assert solved(0.5, 0.96) is None


def test_a_run_ends_solved_or_with_its_budget_or_when_it_cannot_win(tmp_path):
    plan = plan_of(tmp_path, budget="40k")
    state = train(plan, FakePool(gla_learns), jobs=4)
    by_label = {run.label: result for run, result in state.done.items()}
    solved, stopped = by_label["gla, seed 0"], by_label["gru, seed 1"]
    assert (solved.ended, solved.solved_steps, solved.steps) == ("solved", 1024, 1536)
    assert (stopped.ended, stopped.steps, stopped.score) == ("stopped early", 4 * 1024, 0.51)
    # Whoever wants to know trains these to their end.
    patient = plan_of(tmp_path, budget="40k", early_stop=False)
    pool = FakePool(gla_learns)
    state = train(patient, pool)
    assert sorted(pool.begun) == ["gru, seed 0", "gru, seed 1"]
    assert {result.ended for run, result in state.done.items() if run.contender.label == "gru"} == {"budget"}


def test_the_rate_with_the_highest_curve_is_taken(tmp_path):
    plan = plan_of(tmp_path, ["gla", "gru"], lr_search=3)

    def learn(run):
        best = 0.0095 if run.contender.label == "gla" else 0.003
        return 512 if run.rate == best else None

    state = train(plan, FakePool(learn, fail=lambda run: run.kind == "search" and run.rate < 0.001))
    rates = {each.label: chosen_rate(plan, each, state.done) for each in plan.contenders}
    assert rates == {"gla": 0.0095, "gru": 0.003}
    assert {(run.contender.label, run.rate) for run in state.done if run.kind == "compared"} == set(rates.items())
    failed = next(run for run in state.done if run.kind == "search" and run.rate < 0.001)
    assert read_run(failed.path).error == "ValueError: it broke"
    assert train(plan, FakePool(learn)).active == {}


def test_a_run_that_fails_stops_no_other_and_is_tried_again(tmp_path):
    plan, pool = plan_of(tmp_path), FakePool(gla_learns, fail=lambda run: run.label == "gru, seed 0")
    state = train(plan, pool)
    assert {run.label: error for run, error in state.failed.items()} == {"gru, seed 0": "ValueError: it broke"}
    assert len(state.done) == 3
    assert sorted(pool.ended) == sorted(pool.begun)
    assert [run.label for run in missing_runs(plan, state_of(plan))] == ["gru, seed 0"]


def test_a_budget_of_time_becomes_steps_that_fit(tmp_path):
    plan, _ = fit_budget(plan_of(tmp_path, budget="20m", lr_search=3), FakePool(gla_learns), jobs=2)
    # The pool's runs take 0.01 s a step: 2 models × (2 + 3 / 2) budgets, two at a time, within 0.9 × 1,200 s.
    assert 0.9 * 1080 * 2 / (2 * 3.5 * 0.01) < plan.settings.steps <= 1080 * 2 / (2 * 3.5 * 0.01)
    with pytest.raises(SettingsError, match=r"budget = '20s': is too short for 10 runs.*should be at least \dm"):
        fit_budget(plan_of(tmp_path, budget="20s", lr_search=3), FakePool(gla_learns), jobs=2)


def test_a_broken_result_is_named(tmp_path):
    plan = plan_of(tmp_path)
    path = plan.compared_run(plan.contenders[0], 0, 0.003).path
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(SettingsError, match=r"seed-0.json.*remove it, and its run is trained again"):
        state_of(plan)


@pytest.mark.parametrize(
    ("seeds", "begins"), [(2, "gla and gru cannot be told apart with 2 seeds"), (5, "Take gla: it is")]
)
def test_the_report_claims_no_more_than_the_seeds_show(tmp_path, seeds, begins):
    plan = plan_of(tmp_path, seeds=seeds)
    comparison = comparison_of(plan, train(plan, FakePool(gla_learns)))
    assert recommendation(comparison).startswith(begins)
    files = {path.name: path for path in write_report(comparison)}
    data = json.loads(files["comparison.json"].read_text(encoding="utf-8"))
    assert data["ranked"] == ["gla", "gru"]
    assert data["models"]["gla"]["solved"] == seeds
    assert data["models"]["gla"]["median steps until solved"] == 1024
    assert data["models"]["gru"]["censored at"] == [4096] * seeds
    assert (data["models"]["gla"]["score interval"] is None) == (seeds < 5)
    assert data["pairs"][0]["differ"] == (seeds == 5)
    page = files["comparison.md"].read_text(encoding="utf-8")
    assert recommendation(comparison) in page
    assert f"| gla | {seeds} of {seeds} |" in page
    assert files[FIGURE].read_bytes().startswith(b"\x89PNG")
    winner = load_experiment(files[WINNER].rename(tmp_path / WINNER))
    assert (winner.name, winner.model, winner.config["lr"]) == ("recall-gla", plan.experiment.model, 0.003)


def test_rates_are_compared_by_one_measure(tmp_path):
    """A run that has not ended the episodes that a success rate takes reports returns, which are another scale."""

    class Slow(FakePool):
        def answers(self):
            ((run, what, answer),) = super().answers()
            if what == "iterate":
                changes = {"mean_return": 10 * run.rate}
                answer = answer.model_copy(update=changes | ({"success_rate": None} if run.rate > 0.005 else {}))
            return [(run, what, answer)]

    plan = plan_of(tmp_path, ["gla"], lr_search="0.001,0.002,0.009")
    state = train(plan, Slow(lambda run: None))
    assert search_scores(plan, plan.contenders[0], state.done) == pytest.approx(
        {"0.001": 0.01, "0.002": 0.02, "0.009": 0.09}
    )
    plan = plan_of(tmp_path, ["gla"], lr_search="0.001,0.002", directory=tmp_path / "fast")
    assert set(search_scores(plan, plan.contenders[0], train(plan, Slow(lambda run: None)).done).values()) == {0.5}
