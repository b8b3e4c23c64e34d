"""The colours of the charts. The style sheet matches these values and replaces the first six in dark mode."""

INK = "#1c2726"
MUTED = "#566361"
RULE = "#dedad0"
ACCENT = "#0b5d5a"
MIDDLE = "#6fa8a2"
SOFT = "#b9d5d0"

STEPS = ("#d8e9e5", "#abd0ca", "#78b3ab", "#2c7872", "#0a4a47")
"""From low to high, for tiles; the same in light and dark mode."""

ON_STEPS = ("#10201f", "#10201f", "#10201f", "#fffffe", "#fffffe")
"""The text colour on each step."""
