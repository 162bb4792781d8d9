"""What every dialog shares: it is closed once, however fast the keys come."""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, ScreenResultType


class Dialog(ModalScreen[ScreenResultType]):
    """A modal screen that takes its end for granted where it is closed already or another one stands on it.

    A key that opens another screen closes all dialogs at once, while what was typed into one may still be on its way to
    it: Textual would then close the screen below, and end the program where there is none.
    """

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Closes it with a result."""
        return super().dismiss(result) if self.is_active else AwaitComplete()
