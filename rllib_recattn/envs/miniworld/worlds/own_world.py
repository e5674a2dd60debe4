"""MiniWorld environments that share a process and leave nothing behind.

MiniWorld 2.1.0 compiles what does not move of a world (walls, floors, signs) into the OpenGL display list number 1,
and the windows of a process share their lists. So of several environments, all draw the world of the one that was
reset last. And what an environment drew into is never released: 36 MB each, at the usual size of a window.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from ctypes import byref
from typing import Any, Literal

import miniworld.miniworld as drawing
from miniworld.opengl import FrameBuffer
from pydantic import Field
from pyglet import gl

from rllib_recattn.envs.miniworld.display import check_process, is_off_screen
from rllib_recattn.errors import Settings, SettingsError

# MiniWorld's number of the list.
_THE_LIST = 1


class WorldSettings(Settings):
    """What every world can be told of what the agent sees and of what ``render`` draws."""

    obs_width: int = Field(ge=1)
    obs_height: int = Field(ge=1)
    render_mode: Literal["human", "rgb_array"] | None
    view: Literal["agent", "top"]


class OwnWorld(drawing.MiniWorldEnv):
    """To be inherited before a class of MiniWorld's: draws its own world, and releases all when it is closed.

    Attributes:
        has_own_list: Whether the environment has a display list of its own. False is MiniWorld's way, for comparison;
            to be set in a subclass, since a world is drawn as soon as the environment is made.
    """

    has_own_list = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        check_process()
        if kwargs.get("render_mode") == "human" and is_off_screen():
            raise SettingsError(
                "MiniWorld: render_mode = 'human': nobody can watch what is drawn off screen; should be 'rgb_array', "
                "or set PYGLET_HEADLESS=false before the program starts"
            )
        if kwargs.get("render_mode") is None:  # there are 36 MB to save, since only ``render`` draws into a window
            kwargs = {"window_width": 8, "window_height": 8, **kwargs}
        self._list: int | None = None
        self._is_closed = False
        with redirect_stdout(io.StringIO()):  # MiniWorld prints how it smooths edges, twice for each environment
            super().__init__(*args, **kwargs)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take a step. An end that comes with the last step allowed is no truncation."""
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, float(reward), terminated, truncated and not terminated, info

    def close(self) -> None:
        """Release what the environment drew with. Calling it again changes nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        super().close()
        self.shadow_window.switch_to()
        if self._list is not None:
            gl.glDeleteLists(self._list, 1)
        for buffer in (self.obs_fb, self.vis_fb):
            _release(buffer)
        self.text_label.delete()
        self.shadow_window.close()

    def _render_static(self) -> None:
        with self._own_list():
            super()._render_static()

    def _render_world(self, frame_buffer: FrameBuffer, render_agent: bool) -> Any:
        with self._own_list():
            return super()._render_world(frame_buffer, render_agent)

    @contextmanager
    def _own_list(self) -> Iterator[None]:
        """Have MiniWorld's number of the list mean the list of this environment."""
        global _current
        if self._list is None:
            self._list = gl.glGenLists(1) if self.has_own_list else _THE_LIST
        _current = self._list
        try:
            yield
        finally:
            _current = _THE_LIST


# What MiniWorld's number stands for; changed only while an environment draws.
_current = _THE_LIST


def _translating(function: Callable[..., Any]) -> Callable[..., Any]:
    def translate(number: int, *args: Any) -> Any:
        return function(_current if number == _THE_LIST else number, *args)

    return translate


# Else the first of our environments would get the number that all of MiniWorld's own use.
gl.glGenLists(1)
drawing.glNewList = _translating(gl.glNewList)
drawing.glCallList = _translating(gl.glCallList)
drawing.glDeleteLists = _translating(gl.glDeleteLists)


def _release(buffer: FrameBuffer) -> None:
    """Delete a frame buffer and what it draws into, of which MiniWorld keeps no names."""
    for framebuffer in (buffer.multi_fbo, buffer.final_fbo):
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, framebuffer)
        texture = _attached(gl.GL_COLOR_ATTACHMENT0)
        gl.glDeleteTextures(1, byref(texture))
        renderbuffer = _attached(gl.GL_DEPTH_ATTACHMENT)
        gl.glDeleteRenderbuffers(1, byref(renderbuffer))
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, 0)
        gl.glDeleteFramebuffers(1, byref(framebuffer))


def _attached(attachment: int) -> Any:
    name = gl.GLint()
    gl.glGetFramebufferAttachmentParameteriv(
        gl.GL_FRAMEBUFFER, attachment, gl.GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME, byref(name)
    )
    return gl.GLuint(name.value)
