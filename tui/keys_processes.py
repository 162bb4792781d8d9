"""The keys of the Processes screen, for help and `[keys]`; loads nothing of Textual."""

from __future__ import annotations

from typing import Final

from tui.keys import Key

SCOPE: Final = "processes"

KEYS: Final[tuple[Key, ...]] = (
    Key("filter", ("slash", "f4"), "filter", "filter: cpu>20 and user=www and not name~cron", SCOPE),
    Key("tree", ("t", "f5"), "tree", "tree of parents and children, and back", SCOPE),
    Key("group", ("o",), "group", "group by unit, container, user; then no more", SCOPE),
    Key("signal", ("x", "f9"), "signal", "send a signal to the tagged processes, or the one here", SCOPE),
    Key("follow", ("F",), "follow", "follow this process through sorting and filtering", SCOPE),
    Key("sort_cpu", ("P",), "sort('cpu')", "sort by processor", SCOPE),
    Key("sort_memory", ("M",), "sort('memory')", "sort by memory", SCOPE),
    Key("sort_pid", ("N",), "sort('pid')", "sort by process id", SCOPE),
    Key("sort_time", ("T",), "sort('time')", "sort by processor time used so far", SCOPE),
    Key("sort_left", ("less_than_sign",), "sort_beside(-1)", "sort by the column at the left", SCOPE),
    Key("sort_right", ("greater_than_sign",), "sort_beside(1)", "sort by the column at the right", SCOPE),
    Key("reverse", ("I",), "reverse", "reverse the order", SCOPE),
    Key("unfold", ("right",), "unfold", "unfold this branch or group", SCOPE),
    Key("fold", ("left",), "fold", "fold it; once more goes to its parent", SCOPE),
    Key("toggle_fold", ("e",), "toggle_fold", "fold or unfold this branch or group", SCOPE),
    Key("fold_all", ("E",), "fold_all", "fold or unfold all", SCOPE),
    Key("untag", ("U",), "untag", "untag all", SCOPE),
    Key("nice_lower", ("a", "f7"), "renice(-1)", "ahead: nice value one lower", SCOPE),
    Key("nice_higher", ("y", "f8"), "renice(1)", "yield: nice value one higher", SCOPE),
    Key("nice", ("n", "r"), "ask_nice", "set the nice value", SCOPE),
    Key("whole_machine", ("C",), "whole_machine", "CPU % of one core, or of the whole machine", SCOPE),
    Key("kernel", ("K",), "kernel", "show or hide threads of the kernel", SCOPE),
    Key("close", ("escape",), "close", "back: close the details, drop the filter", SCOPE),
)
"""Every action of the screen; those of the list itself (arrows, Enter, Space) are the table's."""
