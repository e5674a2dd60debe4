import subprocess
import sys

import pytest
from click.testing import CliRunner

import rllib_recattn as ra
from rllib_recattn.cli.main import main
from rllib_recattn.cli.model_listing import listing, read_listing

pytestmark = pytest.mark.usefixtures("own_models")


def output_of(*arguments, width=None):
    result = CliRunner(env={"COLUMNS": str(width)} if width else None).invoke(main, ["models", *arguments])
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def rows_of(text):
    """The rows of a table by their first word, with runs of spaces as one."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return {line.split()[0]: line for line in lines if line}


@pytest.mark.parametrize("width", [None, 44, 200])
def test_every_model_has_a_row_with_its_whole_name_and_the_size_of_its_state(width):
    rows = rows_of(output_of(width=width))
    for info in ra.list_models():
        assert f"{rows[info.name]} ".startswith(f"{info.name} {info.state_size:,} {info.state_size / 256:,.1f} ")


def test_a_wide_table_has_all_there_is_to_say_in_one_line():
    rows = rows_of(output_of(width=200))
    for info in ra.list_models():
        assert rows[info.name].endswith(f"{info.description} {info.source}")


def test_no_line_is_wider_than_80_columns_in_a_pipe():
    assert max(len(line) for name in ([], ["agalite"]) for line in output_of(*name).splitlines()) <= 80


def test_the_settings_of_a_model_have_default_type_and_meaning():
    text = output_of("agalite", width=200)
    rows = rows_of(text)
    assert text.startswith("agalite: approximate gated linear transformer")
    assert "15,873 numbers, 62.0 KiB" in text
    assert rows["d_model"] == "d_model 128 int > 0 width of the model and of its output"
    assert rows["d_ff"].startswith("d_ff None int > 0 or None hidden units")
    assert rows["max_timescale"].startswith("max_timescale 64.0 float ≥ 2 steps over which")
    assert rows["frequencies"].startswith("frequencies dct2 dct2 or distinct or published or paper ")
    assert rows["gate_bias"].startswith("gate_bias 2.0 float bias of ")


@pytest.mark.parametrize("info", ra.list_models(), ids=lambda info: info.name)
def test_every_setting_of_every_model_is_described(info):
    rows = rows_of(output_of(info.name, width=300))
    for key, field in info.settings.model_fields.items():
        assert field.description
        assert rows[key].endswith(" ".join(field.description.split()))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("agalitte", "Error: unknown model 'agalitte': did you mean 'agalite'"),
        ("no_such_package.x:ema", "Error: model 'no_such_package.x:ema': the module 'no_such_package.x' cannot be"),
    ],
)
def test_an_unknown_model_ends_with_code_2(name, problem):
    result = CliRunner().invoke(main, ["models", name])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(problem)


def test_the_listing_is_that_of_the_catalog():
    """`python -m rllib_recattn.cli.model_listing` writes it again."""
    assert read_listing() == listing()


def test_it_does_without_ray_and_pytorch():
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('ray' in sys.modules or 'torch' in sys.modules))\n"
        "from rllib_recattn.cli.main import main\n"
        "main(['models'])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("\nFalse\n")
