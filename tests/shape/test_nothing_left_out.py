"""In continuous integration a test that was left out is a test that failed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LEAVING_OUT = {
    "by a tool that is absent": 'import pytest\n@pytest.mark.needs("no-such-program")\ndef test_one(): pass\n',
    "by itself": 'import pytest\ndef test_one(): pytest.skip("too late in the day")\n',
    "by a marker": 'import pytest\n@pytest.mark.skip(reason="not today")\ndef test_one(): pass\n',
    "as a whole file": 'import pytest\npytest.importorskip("no_such_module")\ndef test_one(): pass\n',
}


def closing_line(folder: Path, text: str, ci: str) -> tuple[bool, str]:
    """Does a run of one file beside our conftest succeed, and what is its last line?"""
    shutil.copy(Path(__file__).parents[1] / "conftest.py", folder)
    (folder / "test_it.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = needs(tool): needs a program\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env=os.environ | {"ACCORD_CI": ci},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return ran.returncode == 0, ran.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("how", LEAVING_OUT)
def test_a_test_left_out_fails_the_run_under_ci(tmp_path: Path, how: str) -> None:
    """Nothing is proved by a test that did not run."""
    passed, said = closing_line(tmp_path, LEAVING_OUT[how], "1")

    assert (False, True) == (passed, "1 failed" in said or "1 error" in said), said


def test_elsewhere_a_test_may_be_left_out_by_name(tmp_path: Path) -> None:
    """Who has no Go still has every other test; the line says what was left out."""
    passed, said = closing_line(tmp_path, LEAVING_OUT["by a tool that is absent"], "0")

    assert (True, True) == (passed, "1 skipped" in said), said


def test_an_expected_failure_is_no_test_left_out(tmp_path: Path) -> None:
    """Control: a test that ran and failed as its author said did run."""
    passed, said = closing_line(tmp_path, "import pytest\n@pytest.mark.xfail\ndef test_one(): assert False\n", "1")

    assert (True, True) == (passed, "1 xfailed" in said), said
