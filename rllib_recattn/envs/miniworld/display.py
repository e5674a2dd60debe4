"""Where MiniWorld draws: off screen through EGL, or on a virtual X server.

pyglet, with which MiniWorld draws, opens a window the moment it is imported, on the screen unless told otherwise. So
this has to come before any import of MiniWorld.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from gymnasium.error import DependencyNotInstalled

# Debian's names of what drawing needs.
GL_PACKAGES = "libgl1 libegl1 libglu1-mesa libfreetype6 libfontconfig1"
XVFB_PACKAGES = "xvfb"

# Seconds that a virtual X server may take to start.
_PATIENCE = 30

_HEADLESS = "PYGLET_HEADLESS"


def open_display() -> None:
    """Give pyglet a place to draw: EGL, and a virtual X server where EGL fails.

    Those who want to watch set ``PYGLET_HEADLESS=false``, and pyglet draws on their screen. Does nothing if pyglet
    has been told already, by a program that imported it before.

    Raises:
        DependencyNotInstalled: If there is neither; the message has the line that installs what is missing.
    """
    # With threads of its own, Mesa's software renderer deadlocks in forked processes, such as Gymnasium's
    # AsyncVectorEnv starts. Pictures as small as an agent's are drawn no slower without.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    if "pyglet.gl" in sys.modules:
        return
    if os.environ.get(_HEADLESS, "").lower() in {"false", "0"}:
        _import_pyglet(headless=False, advice=f"{_HEADLESS}=false needs a screen; unset it to draw off screen")
        return
    try:
        _import_pyglet(headless=True, advice=f"sudo apt-get install {GL_PACKAGES}")
    except DependencyNotInstalled as no_egl:
        try:
            _start_virtual_screen()
            _import_pyglet(headless=False, advice=f"sudo apt-get install {XVFB_PACKAGES} {GL_PACKAGES}")
        except DependencyNotInstalled as no_xvfb:
            raise DependencyNotInstalled(
                f"MiniWorld has nowhere to draw. EGL: {no_egl}. A virtual X server: {no_xvfb}."
            ) from no_egl


def is_off_screen() -> bool:
    """Tell whether pyglet draws where nobody can watch."""
    import pyglet

    return bool(pyglet.options["headless"]) or _virtual_screen is not None


def check_process() -> None:
    """Refuse to draw in a process that was forked from one with a connection to a virtual X server.

    Both would speak over the same connection, and neither would understand the answers. EGL has none.

    Raises:
        RuntimeError: If this is such a process.
    """
    if _virtual_screen is not None and os.getpid() != _virtual_screen:
        raise RuntimeError(
            "MiniWorld draws on a virtual X server here, which forked processes cannot share: should be "
            "gym_env_vectorize_mode 'sync', or AsyncVectorEnv with context='spawn', or EGL: "
            f"sudo apt-get install {GL_PACKAGES}"
        )


# The process that started a virtual X server.
_virtual_screen: int | None = None


def _import_pyglet(headless: bool, advice: str) -> None:
    try:
        import pyglet

        pyglet.options["headless"] = headless
        # Else pyglet asks OpenGL for errors after each call, which takes a fifth of all time.
        pyglet.options["debug_gl"] = "PYGLET_DEBUG_GL" in os.environ and pyglet.options["debug_gl"]
        import pyglet.gl
        import pyglet.window  # opens a window of a pixel, with what all later ones share
    except Exception as error:  # missing libraries and lack of a screen are of many classes
        # What was imported by halves would not be tried again.
        for name in [name for name in sys.modules if name.partition(".")[0] == "pyglet"]:
            del sys.modules[name]
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DependencyNotInstalled(f"{reason} ({advice})") from error


def _start_virtual_screen() -> None:
    global _virtual_screen
    if shutil.which("Xvfb") is None:
        raise DependencyNotInstalled(f"there is no Xvfb (sudo apt-get install {XVFB_PACKAGES} {GL_PACKAGES})")
    reading, writing = os.pipe()
    # It ends by itself when its last client does, this process, even if that is killed.
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-terminate", "-nolisten", "tcp", "-screen", "0", "1280x1024x24"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # not to be ended by a Ctrl-C before those that draw on it
    )
    os.close(writing)
    with os.fdopen(reading) as answer:
        number = answer.readline().strip()
    if not number:
        raise DependencyNotInstalled(f"Xvfb ended with code {server.wait(_PATIENCE)}")
    os.environ["DISPLAY"] = f":{number}"
    _virtual_screen = os.getpid()
