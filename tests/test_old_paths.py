"""What went by another path or name before is found by that as well."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from importlib import import_module

import pytest
import torch

import rllib_recattn as ra
from rllib_recattn.models import gru, lstm
from rllib_recattn.models.parts import blocks
from rllib_recattn.models.registry import recorded_settings, settings_of
from rllib_recattn.old_paths import MOVED
from tests.models.conftest import INPUT_DIM, SMALL

HERE = "rllib_recattn.models"
ELSEWHERE = sorted(path for path in MOVED if not path.startswith(HERE))
OLD = {  # a module below rllib_recattn.models, as it was → what others could have imported from it
    "blocks": "Block GRUGate Residual orthogonal_linear",
    "containment": "lose lost_from lost_in_window not_finite without",
    "counters": "Counter largest_count widened",
    "expanded_attention": "ExpandedAttention Features",
    "fla_kernels": "LONGEST_SEQUENCE gated_linear_attention serve",
    "gated_linear_attention": "CHUNK_SIZE chunkwise gated_linear_attention",
    "graphs": "Rows in_graph",
    "key_memory": "read_key_memory",
    "linear": "LARGE Linear linear multiply multiply_transposed",
    "mixed_precision": "autocast_changes vecdot without_autocast",
    "native": "",
    "native.attention": "attend",
    "native.block": "NativeBlock",
    "native.build": "FLAGS build",
    "native.gate": "gate update_of",
    "native.library": "SWITCH kernels serve serve_products",
    "native.step": "Step",
    "native.weights": "Weights",
    "oscillation": "FrequencyChoice Oscillation",
    "outer_product_memory": "outer_product_memory",
    "relative_attention": "sinusoid_table step_attention step_mask steps_in_reach window_attention window_masks",
    "rnn": "GRU GRUSettings LSTM LSTMSettings RecurrentNetwork RecurrentSettings",
    "scan": "linear_recurrence linear_recurrence_doubling",
    "segment_attention": "MultiHeadAttention SegmentAttention",
    "segments": "SegmentGrid",
    "stack": "Mixer Stack StackSettings",
    "timescales": "keep_biases",
}


@pytest.mark.parametrize("path", OLD)
def test_a_module_is_found_by_its_old_path(path):
    module = import_module(f"{HERE}.{path}")
    assert all(hasattr(module, name) for name in OLD[path].split())


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_module_of_another_part_is_found_by_its_old_path(path):
    module, (now,) = import_module(path), MOVED[path]
    assert not path.startswith("rllib_recattn.migration")
    for name, value in vars(import_module(now)).items():
        if not name.startswith("__"):
            assert getattr(module, name) is value


def test_every_old_path_is_tried():
    assert {f"{HERE}.{path}" for path in OLD} | {*ELSEWHERE} == set(MOVED)


def test_the_former_path_of_convert_checkpoint_goes_on_to_work():
    from rllib_recattn.checkpoints import convert_checkpoint

    assert convert_checkpoint is ra.convert_checkpoint


def test_the_settings_of_schedulers_are_found_by_their_old_names():
    from rllib_recattn.experiment.definition import schedulers

    assert schedulers.Asha is schedulers.AshaBlock
    with pytest.raises(AttributeError, match="Nobody"):
        schedulers.Nobody  # noqa: B018


def test_its_classes_are_those_of_the_new_path():
    from rllib_recattn.models.blocks import Block
    from rllib_recattn.models.rnn import GRU, LSTMSettings

    assert (Block, GRU, LSTMSettings) == (blocks.Block, gru.GRU, lstm.LSTMSettings)


def test_the_settings_of_stacked_models_had_heads():
    from rllib_recattn.models.stack import StackSettings

    assert {"n_heads", "d_head", "d_model"} <= StackSettings.model_fields.keys()


def old_pickle(model: torch.nn.Module) -> bytes:
    """Pickle a model with the old paths of its classes; to protocol 2 they are lines of text."""
    old = {new: path for path, news in MOVED.items() for new in news}
    return re.sub(
        rb"c(rllib_recattn\.models\.[\w.]+)\n",
        lambda found: f"c{old.get(found[1].decode(), found[1].decode())}\n".encode(),
        pickle.dumps(model, protocol=2),
    )


@pytest.mark.parametrize("name", ["agalite", "gtrxl", "rate", "gru", "lstm", "hybrid"])
def test_a_model_that_was_pickled_as_a_whole_before_is_read(name):
    sizes = {key: value for key, value in SMALL.items() if key in settings_of(name).model_fields}
    model = recorded_settings(name, sizes, where="an old pickle").build(INPUT_DIM)
    pickled = old_pickle(model)
    assert b"models.parts" not in pickled
    assert b"crllib_recattn.models.rnn\n" in pickled or b"crllib_recattn.models.blocks\n" in pickled
    x, state = torch.randn(2, 5, model.input_dim), model.initial_state(2)
    torch.testing.assert_close(pickle.loads(pickled)(x, state), model(x, state), rtol=0, atol=0)


def test_kernels_are_built_by_the_old_command(tmp_path):
    # Without a compiler, so that it ends before it has built anything.
    command = [sys.executable, "-m", "rllib_recattn.models.native.build"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": str(tmp_path), "CXX": ""})
    assert done.returncode == 1
    assert "Error: there is no C++ compiler" in done.stderr


def test_other_missing_modules_are_missing():
    with pytest.raises(ImportError, match=r"No module named 'rllib_recattn.models.blockss'"):
        import_module(f"{HERE}.blockss")


def test_the_old_name_of_the_listing_goes_on_to_work():
    with pytest.warns(DeprecationWarning, match=r"is now rllib_recattn.list_models\(\)"):
        listed = ra.models()
    assert listed == ra.list_models()
    assert ra.models.registry.models() == ra.list_models()
