"""Layers (optional content, ISO 32000-2, 8.11): which of them a viewer does not show.

PDFium draws pages by the same rules: the default configuration, unless a layer's usage for viewing says otherwise.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name

from extraction.page.shown import HIDDEN_MARK

MAXIMUM_DEPTH = 20  # of visibility expressions
HIDDEN_ANNOTATION = 2  # its flag
_KEY = Name("/" + HIDDEN_MARK.decode())


def find_hidden(pdf: pikepdf.Pdf) -> list[Any]:
    """Return the groups that are off; nothing, if the file has none."""
    properties = pdf.Root.get(Name.OCProperties)
    if not isinstance(properties, Dictionary):
        return []
    config: Any = properties.get(Name.D, Dictionary())
    groups: list[Any] = list(properties.get(Name.OCGs, Array()))
    return [group for group in groups if not _is_on(group, config)]


def hide(pdf: pikepdf.Pdf, hidden: list[Any]) -> None:
    """Mark the groups in *hidden* and what depends on them; empty the forms and hide the annotations of such layers."""
    off = {group.objgen for group in hidden}
    for group in hidden:
        group[_KEY] = 1
    for item in pdf.objects:
        if not isinstance(item, Dictionary | pikepdf.Stream):
            continue
        properties = item.get(Name.Resources, Dictionary()).get(Name.Properties, None)
        for memberships in properties.values() if isinstance(properties, Dictionary) else ():
            if _is_membership(memberships) and not _is_shown(memberships, off):
                memberships[_KEY] = 1
        if _is_membership(item) and not _is_shown(item, off):
            item[_KEY] = 1
        layer = item.get(Name.OC)
        if isinstance(layer, Dictionary) and not _is_shown(layer, off):
            if isinstance(item, pikepdf.Stream):
                if item.get(Name.Subtype) == Name.Form:
                    item.write(b"")
            else:
                item[Name.F] = int(item.get(Name.F, 0)) | HIDDEN_ANNOTATION


def _is_on(group: Any, config: Any) -> bool:
    """As PDFium decides it."""
    intent = group.get(Name.Intent, Name.View)
    if Name.View not in (list(intent) if isinstance(intent, Array) else [intent]):
        return True
    state = group.get(Name.Usage, Dictionary()).get(Name.View, Dictionary()).get(Name.ViewState)
    if state is not None:
        return bool(state != Name.OFF)
    if _holds(config.get(Name.OFF), group):
        return False
    return _holds(config.get(Name.ON), group) or bool(config.get(Name.BaseState) != Name.OFF)


def _holds(groups: Any, group: Any) -> bool:
    return isinstance(groups, Array) and any(
        isinstance(other, Dictionary) and other.objgen == group.objgen for other in groups
    )


def _is_membership(item: Any) -> bool:
    return isinstance(item, Dictionary) and item.get(Name.Type) == Name.OCMD


def _is_shown(layer: Any, off: set[tuple[int, int]]) -> bool:
    """Whether a group, or the groups of a membership by its expression or policy, are shown."""
    if not _is_membership(layer):
        return layer.objgen not in off
    expression = layer.get(Name.VE)
    if isinstance(expression, Array):
        return _evaluate(expression, off, 0)
    groups = layer.get(Name.OCGs)
    members = list(groups) if isinstance(groups, Array) else [groups]
    states = [member.objgen not in off for member in members if isinstance(member, Dictionary)]
    policies: dict[str, Callable[[Iterator[bool]], bool]] = {
        "/AllOn": all,
        "/AnyOff": lambda on: not all(on),
        "/AllOff": lambda on: not any(on),
    }
    return not states or policies.get(str(layer.get(Name.P)), any)(iter(states))


def _evaluate(expression: Any, off: set[tuple[int, int]], depth: int) -> bool:
    if isinstance(expression, Dictionary):
        return expression.objgen not in off
    if not isinstance(expression, Array) or not len(expression) or depth > MAXIMUM_DEPTH:
        return True
    operator, *operands = list(expression)
    values = (_evaluate(operand, off, depth + 1) for operand in operands)
    if operator == Name.Not:
        return not next(values, False)
    return all(values) if operator == Name.And else any(values)
