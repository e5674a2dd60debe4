import os
import pty
import subprocess
import sys

COMMAND = [sys.executable, "-m", "rllib_recattn", "train", "file", "tmaze-agalite-ppo", "--dry-run"]


def test_a_terminal_is_told_that_rllib_is_loaded():
    ours, theirs = pty.openpty()
    process = subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    said = b""
    # The end of a terminal that nobody writes to any more is an error on Linux.
    try:
        while part := os.read(ours, 4096):
            said += part
    except OSError:
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert "Loading RLlib …\r\x1b[K" in said.decode()


def test_a_file_is_not(tmp_path):
    with (tmp_path / "said").open("w") as said:
        subprocess.run(COMMAND, stdout=subprocess.DEVNULL, stderr=said, timeout=60, check=True)
    assert "Loading" not in (tmp_path / "said").read_text(encoding="utf-8")
