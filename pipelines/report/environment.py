"""How every page of the house is made from its template."""

from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

_SHARED = "pipelines.report"  # looks and parts that all pages have


@cache
def page_environment(package: str) -> Environment:
    """Return the templates of *package*, and after them the shared ones.

    A field that is missing is an error, never a blank.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name, "templates") for name in (package, _SHARED)]),
        autoescape=True,  # prompts, remarks and details are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share, digits=1: f"{100 * share:.{digits}f} %"
    environment.filters["thousands"] = lambda number: f"{number:,}"
    return environment
