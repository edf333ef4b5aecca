"""Sliders: a picture that is drawn anew while the reader moves them.

Without a running kernel, without ipywidgets, and while the pages are executed to be committed, the picture of the
first values is shown alone. So a page reads the same on GitHub, and its outputs do not differ from run to run.
"""

import base64
import importlib.util
import os
from collections.abc import Callable
from typing import Any

from npse.notebook.picture import Picture

STATIC = "NPSE_STATIC_PAGES"     # set by notebooks/refresh.py

Choice = tuple[float, float, float, float] | tuple[int, int, int] | list[str] | bool
"""A slider: first value, least, greatest, step (numbers); first, least, greatest (whole numbers); names; yes or no."""


class Play:
    """A picture with sliders; a notebook shows it if it ends a cell.

    Parameters
    ----------
    draw : function
        Gets the values of the sliders by name, and returns a `Picture`.
    **choices : Choice
        One slider for each argument of ``draw``.
    """

    def __init__(self, draw: Callable[..., Picture], **choices: Choice) -> None:
        self._draw = draw
        self._choices = choices

    def first(self) -> Picture:
        """Return the picture of the first values."""
        return self._draw(**{name: choice if isinstance(choice, bool) else choice[0]
                             for name, choice in self._choices.items()})

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if os.environ.get(STATIC) or importlib.util.find_spec("ipywidgets") is None:
            shown = self.first()
            display({"image/png": base64.b64encode(shown.png()).decode(), "text/plain": repr(shown)}, raw=True,
                    metadata={"image/png": {"alt": shown.words}})
        else:
            display(self.widget())

    def widget(self) -> Any:
        """Return the sliders and the picture as one widget of ipywidgets."""
        import ipywidgets

        image = ipywidgets.Image(format="png", layout={"max_width": "100%", "object_fit": "contain"})
        sliders = {name: _slider(name.replace("_", " "), choice) for name, choice in self._choices.items()}

        def draw_again(_: object = None) -> None:
            image.value = self._draw(**{name: slider.value for name, slider in sliders.items()}).png()

        for slider in sliders.values():
            slider.observe(draw_again, "value")
        draw_again()
        box = ipywidgets.Layout(flex_flow="row wrap")
        return ipywidgets.VBox([ipywidgets.Box(list(sliders.values()), layout=box), image])


def _slider(label: str, choice: Choice) -> Any:
    import ipywidgets

    if isinstance(choice, bool):
        return ipywidgets.Checkbox(value=choice, description=label)
    if isinstance(choice, list):
        return ipywidgets.Dropdown(options=choice, value=choice[0], description=label)
    kind = ipywidgets.IntSlider if len(choice) == 3 else ipywidgets.FloatSlider
    step = {} if len(choice) == 3 else {"step": choice[3]}
    return kind(value=choice[0], min=choice[1], max=choice[2], description=label, **step)
