"""Names of models that people know from elsewhere: another spelling of one of the catalog, or the nearest there is.

POPGym (arXiv 2303.01859, section 4) compares thirteen memories, which is what many look for here. Those that are in the
catalog are found by POPGym's names; for the others the error says which model comes nearest, and why.
"""

from __future__ import annotations

from collections.abc import Iterable

ALIASES = {
    "mlp": "memoryless",
    "feedforward": "memoryless",
    "nomemory": "memoryless",
    "stack": "frame_stack",
    "framestacking": "frame_stack",
    "stackedframes": "frame_stack",
    "mingatedrecurrentunit": "min_gru",
    "longshorttermmemory": "lstm",
    "gatedrecurrentunit": "gru",
    "fastandforgetfulmemory": "ffm",
    "linearrecurrentunit": "lru",
    "recurrenttraceunit": "rtu",
    "fart": "linear_attention",
    "fastautoregressivetransformer": "linear_attention",
    "lineartransformer": "linear_attention",
    "retentivenetwork": "retnet",
}
"""A name, without spaces and signs and in small letters → the model of the catalog that it is."""

NEAREST = {
    "posmlp": (
        "memoryless",
        "it reads each step by itself too; the time, which PosMLP is told, belongs into the observation here",
    ),
    "tcn": (
        "frame_stack",
        "it reads a window of the last steps, each by weights of its own, as a temporal convolution does",
    ),
    "elman": ("gru", "it is a recurrent network with a hidden vector too, and has gates by which gradients last"),
    "indrnn": ("min_gru", "its features are recurrent each by itself too, and are read in parallel"),
    "dnc": ("delta_net", "it is a memory that is written over and read by keys too, in place of addressed slots"),
    "fwp": ("delta_net", "its delta rule is that of fast weight programmers"),
    "lmu": ("lru", "it is a linear recurrence of fixed speeds too, which are learned and not those of Legendre"),
    "s4d": ("lru", "it is a diagonal state space model too, in discrete time"),
}
"""A model that is not in the catalog, likewise → the nearest one that is, and why."""

_LONG_NAMES = {
    "positionalmlp": "posmlp",
    "temporalconvolution": "tcn",
    "temporalconvolutionalnetwork": "tcn",
    "rnn": "elman",
    "elmannet": "elman",
    "elmannetwork": "elman",
    "elmanrnn": "elman",
    "simplernn": "elman",
    "vanillarnn": "elman",
    "independentlyrecurrentneuralnetwork": "indrnn",
    "diffneuralcomputer": "dnc",
    "differentiableneuralcomputer": "dnc",
    "fastweightprogrammer": "fwp",
    "fastweights": "fwp",
    "legendrememoryunit": "lmu",
    "s4": "s4d",
    "diagonals4": "s4d",
}


def same_model(name: str, catalog: Iterable[str]) -> str | None:
    """Return the name in the catalog of a model that goes by another name or spelling, None if there is none.

    Example:
        >>> same_model("Gated-DeltaNet", ["gru", "gated_delta_net"])
        'gated_delta_net'
        >>> same_model("MLP", ["gru", "memoryless"])
        'memoryless'
    """
    plain = _plain(name)
    spelled = {_plain(each): each for each in catalog}
    return spelled.get(plain) or spelled.get(_plain(ALIASES.get(plain, "")))


def nearest_model(name: str, catalog: Iterable[str]) -> str | None:
    """Say which model of the catalog comes nearest to a known one that it lacks; None if the name is of no such one."""
    plain = _plain(name)
    nearest, why = NEAREST.get(_LONG_NAMES.get(plain, plain), ("", ""))
    return f"the nearest is {nearest!r}: {why}" if nearest in catalog else None


def _plain(name: str) -> str:
    letters = "".join(character for character in name.casefold() if character.isalnum())
    # As POPGym's classes and those of others are called.
    return letters.removeprefix("popgym").removesuffix("model")
