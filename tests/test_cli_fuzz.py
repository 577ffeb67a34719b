"""Random command lines: whatever is typed, an exit code with a meaning and never a traceback."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Done

Sbert = Callable[..., Done]


def words(text: str) -> list[str]:
    return text.split()


KEYS = words("""
    model loss seed epochs optimizer.lr optimizer optimizer.betas betas.0 engine.device a.b.c x
    pooling model.path defaults ~model ~seed +seed ++seed +x ++a.b ~optimizer.lr +loss loss@x
    pooling@head @x _global_ hydra hydra.run.dir hydra/launcher hydra.launcher hydra.sweep
    hydra.mode hydra.job.name hydra.verbose hydra.output_subdir hydra/job_logging hydra/help
    hydra.sweeper.params hydra.job.env_set.X hydra.job.chdir hydra.hydra_logging
    hydra.searchpath hydra.overrides.task
""")
VALUES = words(r"""
    bert brt 1 a,b [1,2] [ {a:1} 'x' "x ${seed} ${nope} ${oc.env:HOME} ${oc.decode:x} null true
    range(1,3) choice(a,b) glob(*) interval(1,2) sort(3,1) tag(a,b) shuffle(1,2) int(x) int(3)
    ../x /abs \ é ??? ${ } = a=b {a:{b:1}} [] {} RUN MULTIRUN 1e400 joblib none {_target_:x} ~ @
    $x a/b tiny softmax
""")
VALUES += ["", "a b", "\0", "9" * 500]
FLAGS = words("""
    --resolve -m --run -h --info -- -q json=true demo bert x.yaml --config-dir=/nope ' - -p
    --config-name=eval --config-name=x --package=optimizer.lr --package=x --config-path=/nope
    --cfg=hydra
""")
OVERRIDE = st.builds("{}{}{}".format, st.sampled_from(KEYS), st.sampled_from("==== "),
                     st.sampled_from(VALUES) | st.text(max_size=6))  # fmt: skip
LINES = st.tuples(
    st.sampled_from(words("train train encode eval search mine cluster download")),
    st.lists(OVERRIDE | OVERRIDE | st.sampled_from(FLAGS), max_size=4),
)
ANYWHERE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def check(sbert: Sbert, line: tuple[str, list[str]]) -> None:
    command, rest = line
    done = sbert(command, "--cfg", "job", *rest)
    assert done.code in (0, 2, 6)
    assert "Traceback" not in done.err
    if done.code:
        lead = ('{"error"', "error[E2]") if done.code == 2 else ('{"error"', "error[E6]")
        assert done.err.startswith(lead)


@given(line=LINES)
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=ANYWHERE)
def test_any_line_ends_with_a_meaning(sbert: Sbert, line: tuple[str, list[str]]) -> None:
    check(sbert, line)


@pytest.mark.slow
@given(line=LINES)
@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=ANYWHERE)
def test_very_many_lines_end_with_a_meaning(sbert: Sbert, line: tuple[str, list[str]]) -> None:
    check(sbert, line)
