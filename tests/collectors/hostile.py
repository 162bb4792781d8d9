"""Hypothesis strategies for what a kernel file might hold when it is cut, corrupted or made up."""

from hypothesis import strategies as st


def mangled(text: str) -> st.SearchStrategy[str]:
    """Texts near a real one (cut off, a piece replaced) and texts out of nowhere."""
    places = st.integers(0, len(text))
    scraps = st.one_of(
        st.text(max_size=12), st.sampled_from(["-1", "99999999999999999999", "1e999", "nan", "²", "\0", " ", "\n"])
    )

    def replaced(start: int, length: int, scrap: str) -> str:
        return text[:start] + scrap + text[start + length :]

    return st.one_of(
        st.text(),
        places.map(lambda end: text[:end]),
        st.builds(replaced, places, st.integers(0, 30), scraps),
    )
