#!/bin/sh
# Uses an installed package from an empty folder with an empty home: sh scripts/use_distribution.sh FOLDER-OF-ITS-COMMANDS
set -eu

bin=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/home" "$folder/work"
cd "$folder/work"
unset PYTHONPATH
export HOME="$folder/home" OMP_NUM_THREADS=1

run() {
    echo "+ $*"
    "$@"
}

run "$bin/rllib" --version
run "$bin/rllib" models
run "$bin/python" -c 'import rllib_recattn as ra; print("kernels:", ra.kernels()); print(ra.build_model("agalite", input_dim=4).output_dim)'
run "$bin/rllib" train file tmaze-agalite-ppo --stop training_iteration=2 --storage-path results
run "$bin/rllib" evaluate results/tmaze-agalite-ppo --episodes 10
run "$bin/rllib" export results/tmaze-agalite-ppo -o agent
run "$bin/python" -c 'import rllib_recattn as ra; print(ra.load_agent("agent").action_space)'
