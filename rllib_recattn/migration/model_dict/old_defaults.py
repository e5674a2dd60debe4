"""What the ``model`` dict of RLlib's old API stack says where a file says nothing.

Written down here, so that old files can be converted for a Ray that has no old API stack any more. What a network is
initialised with, how images are preprocessed and the like is not here: none of it can be carried.
"""

from __future__ import annotations

from typing import Any

MODEL_DEFAULTS: dict[str, Any] = {
    "attention_dim": 64,
    "attention_head_dim": 32,
    "attention_init_gru_gate_bias": 2.0,
    "attention_memory_inference": 50,
    "attention_memory_training": 50,
    "attention_num_heads": 1,
    "attention_num_transformer_units": 1,
    "attention_position_wise_mlp_dim": 32,
    "attention_use_n_prev_actions": 0,
    "attention_use_n_prev_rewards": 0,
    "conv_activation": "relu",
    "custom_model_config": {},
    "fcnet_activation": "tanh",
    "fcnet_hiddens": [256, 256],
    "free_log_std": False,
    "log_std_clip_param": 20.0,
    "lstm_cell_size": 256,
    "lstm_use_prev_action": False,
    "lstm_use_prev_reward": False,
    "max_seq_len": 20,
    "no_final_linear": False,
    "post_fcnet_activation": "relu",
    "post_fcnet_hiddens": [],
    "use_attention": False,
    "use_lstm": False,
    "vf_share_layers": True,
    # What has no counterpart, and is no loss as long as it says this.
    "_disable_action_flattening": False,
    "_disable_preprocessor_api": False,
    "_time_major": False,
    "always_check_shapes": False,
    "dim": 84,
    "framestack": True,
    "grayscale": False,
    "zero_mean": True,
}

_PARTS = [
    *("conv_bias_initializer", "conv_bias_initializer_config", "conv_kernel_initializer"),
    *("conv_kernel_initializer_config", "conv_transpose_bias_initializer", "conv_transpose_bias_initializer_config"),
    *("conv_transpose_kernel_initializer", "conv_transpose_kernel_initializer_config"),
    *("fcnet_bias_initializer", "fcnet_bias_initializer_config", "fcnet_weights_initializer"),
    *("fcnet_weights_initializer_config", "lstm_bias_initializer", "lstm_bias_initializer_config"),
    *("lstm_weights_initializer", "lstm_weights_initializer_config", "post_fcnet_bias_initializer"),
    *("post_fcnet_bias_initializer_config", "post_fcnet_weights_initializer", "post_fcnet_weights_initializer_config"),
]

ALL_DEFAULTS: dict[str, Any] = {
    **MODEL_DEFAULTS,
    **dict.fromkeys(_PARTS),
    **dict.fromkeys(
        ("conv_filters", "custom_action_dist", "custom_model", "custom_preprocessor", "encoder_latent_dim")
    ),
    "_use_default_native_models": -1,
}
"""All settings of the dict, with those of networks' first weights and of classes of a user's own, which are None."""


def shares_layers(run: str) -> bool:
    """Whether value and policy share a feed-forward network by default, in the algorithm of that name."""
    return run != "PPO"
