"""The colours of the charts. The page's style sheet knows them by these values and turns the first few at night."""

INK = "#1c2726"
MUTED = "#566361"
RULE = "#dedad0"
ACCENT = "#0b5d5a"
MIDDLE = "#6fa8a2"
SOFT = "#b9d5d0"

STEPS = ("#d8e9e5", "#abd0ca", "#78b3ab", "#2c7872", "#0a4a47")
"""From little to much, for tiles: the same by day and by night."""

ON_STEPS = ("#10201f", "#10201f", "#10201f", "#fffffe", "#fffffe")
"""The ink on each step."""
