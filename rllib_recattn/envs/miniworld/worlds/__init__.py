"""MiniWorld's tasks and our own. Importing any of these modules opens the display that MiniWorld needs.

Raises:
    DependencyNotInstalled: If there is none.
"""

from rllib_recattn.envs.miniworld.display import open_display

open_display()
