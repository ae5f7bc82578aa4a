"""Published fusion networks, rebuilt; their weights stay with their authors and are imported by the user.

>>> "densefuse" in list_published()
True
>>> get_published("densefuse").weights_for("vif").licence
'none stated'
"""

from components.models.zoo.registry import (
    PublishedMethod,
    Weights,
    get_published,
    list_published,
    list_weights,
    methods_using,
)

__all__ = ["PublishedMethod", "Weights", "get_published", "list_published", "list_weights", "methods_using"]
