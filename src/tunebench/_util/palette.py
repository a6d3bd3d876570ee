"""The colours of pages, light and dark: of the report, of `watch`, and of the playground."""

from markupsafe import Markup

PALETTE = Markup("""\
:root {
  color-scheme: light dark;
  --page: #ffffff; --ink: #1b1b1f; --soft: #55565c; --rule: #d6d7dc; --tint: #f3f4f7; --link: #0a58a8; --warn: #8a3a00;
  --shade-full: #7fb2dd;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #16171b; --ink: #e8e8ec; --soft: #a9abb4; --rule: #3a3c44; --tint: #202228; --link: #7db8f5;
    --warn: #ffb27a; --shade-full: #1d5f96;
  }
}""")
